"""Parquet: all implicates in one file that says everything of itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from microimpute.errors import OutputError, first_line
from microimpute.export.base import Format
from microimpute.export.content import LAYOUT, Content, account, types_of
from microimpute.export.names import Naming

__all__ = ["Parquet"]

#: Key of the account in the file's metadata.
KEY = b"microimpute"


class Parquet(Format):
    """One table with `implicate` 1 … m, the receiver's columns and the targets; types stay as they are.

    Each implicate is a row group, so that a reader takes one without the others. The account (design of the
    receiver, manifest) is in the metadata of the schema, what columns mean in the metadata of each field.
    """

    name = "parquet"
    program = "Parquet"
    summary = "One Parquet file, implicate by implicate, with types, labels and manifest in its metadata"
    suffix = ".parquet"
    naming = Naming(reserved="implicate")
    blind: ClassVar[bool | None] = None

    def columns(self, content: Content) -> Sequence[str]:
        """All columns, of whatever type."""
        return content.names

    def write(self, content: Content, names: Mapping[str, str], path: Path) -> Sequence[str]:
        """Write the file, account included."""
        said = account(content, self.name, columns=False) | {"names": dict(names), "notes": []}
        said["levels"] = {n: _levels(content, n) for n in content.names if pa.types.is_dictionary(_type(content, n))}
        writer = None
        try:
            for i in range(1, content.m + 1):
                block = {names[c]: array for c, array in content.block(i).items()}
                number = pa.array(np.full(content.rows, i), pa.int32())
                table = pa.table({"implicate": number, **block})
                if writer is None:
                    schema = _described(table.schema, content, names, said)
                    writer = pq.ParquetWriter(path, schema, compression="zstd")
                writer.write_table(table.cast(writer.schema), row_group_size=max(1, content.rows))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise OutputError(f"Parquet can't hold a column: {first_line(error)}", "Leave it out.") from None
        finally:
            if writer:
                writer.close()
        return ()

    def write_account(self, said: Mapping[str, Any], path: Path) -> None:
        """Nothing: the file holds it."""

    def account(self, path: Path) -> dict[str, Any] | None:
        """Read the account from the file."""
        try:
            said = json.loads((pq.read_schema(path).metadata or {})[KEY])
        except (pa.ArrowInvalid, OSError, ValueError, KeyError):
            return None
        return said if isinstance(said, dict) and said.get("microimpute") == LAYOUT else None

    def blocks(self, path: Path, said: Mapping[str, Any]) -> Iterator[Mapping[str, pa.Array]]:
        """Yield implicates 1 … m."""
        with pq.ParquetFile(path) as file:
            for i in range(file.num_row_groups):
                table = file.read_row_group(i)
                block = {}
                for field in types_of(said):
                    name = said["names"][field.name]
                    array = table[name].unify_dictionaries().combine_chunks()
                    block[name] = _as_it_was(array, field.type, said["levels"].get(field.name, ()))
                yield block


def _type(content: Content, name: str) -> pa.DataType:
    return content.arrays(name)[0].type


def _levels(content: Content, name: str) -> list[Any]:
    found: dict[Any, None] = {}
    for array in content.arrays(name):
        found |= dict.fromkeys(array.dictionary.drop_null().to_pylist())
    return list(found)


def _as_it_was(array: pa.Array, kind: pa.DataType, levels: Sequence[Any]) -> pa.Array:
    """Give classes their levels again, which Parquet keeps only as far as they occur, and only of text."""
    if not pa.types.is_dictionary(kind):
        return array.cast(kind)
    plain = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
    known = pa.array(levels, kind.value_type)
    codes = pc.index_in(plain.cast(kind.value_type), value_set=known).cast(kind.index_type)
    return pa.DictionaryArray.from_arrays(codes, known, ordered=kind.ordered)


def _described(schema: pa.Schema, content: Content, names: Mapping[str, str], said: Mapping[str, Any]) -> pa.Schema:
    labels = {names[c]: content.label(c) for c in content.names}
    fields = [f.with_metadata({"label": labels[f.name]}) if labels.get(f.name) else f for f in schema]
    return pa.schema(fields, metadata={KEY: json.dumps(said, ensure_ascii=False)})
