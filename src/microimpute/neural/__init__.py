"""What neural methods share: codec, inputs, nets, training loop, calibration, draws; modules that need torch say so."""
