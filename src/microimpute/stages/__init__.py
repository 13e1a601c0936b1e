"""Several donors for one receiver: stages in order, bridges and links between them, rules that span them."""

from microimpute.stages.edits import Edit
from microimpute.stages.fusing import fuse
from microimpute.stages.joining import Fused
from microimpute.stages.links import Link
from microimpute.stages.stage import Bridge, Stage

__all__ = ["Bridge", "Edit", "Fused", "Link", "Stage", "fuse"]
