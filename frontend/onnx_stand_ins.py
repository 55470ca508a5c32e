"""Inputs in the place of what cannot be imported, with the shapes that ONNX infers."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

from ai8xc.frontend.building import MAX_VALUES
from ai8xc.frontend.onnx_tensors import DTYPES, ELEMENTS
from ai8xc.ir.core import Input
from ai8xc.ir.loc import Loc
from ai8xc.ir.types import TensorType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnx import ModelProto, ValueInfoProto

    from ai8xc.frontend.names import Names


class StandIns:
    """The values of a model whose shape can be inferred."""

    def __init__(self, model: ModelProto) -> None:
        self.model = model

    @cached_property
    def infos(self) -> Mapping[str, ValueInfoProto]:
        """What ONNX infers of each value; nothing where it fails."""
        from onnx import shape_inference

        try:
            graph = shape_inference.infer_shapes(self.model).graph
        except Exception:  # the model is not right, which has been said
            graph = self.model.graph
        return {info.name: info for info in (*graph.value_info, *graph.output)}

    def value(self, name: str, names: Names, source: str, kind: TensorType | None) -> Input | None:
        """Return an input with the type of a value, None where it cannot be inferred.

        `kind` is the type where it is known without inference.
        """
        if kind is not None:
            return Input(kind, name=names.claim(name), loc=Loc(source))
        info = self.infos.get(name)
        tensor = info.type.tensor_type if info is not None else None
        if tensor is None or not tensor.HasField("shape"):
            return None
        element = ELEMENTS.get(DTYPES.get(tensor.elem_type, ""))
        sizes = [dim.dim_value for dim in tensor.shape.dim]
        if sizes and not sizes[0]:
            sizes[0] = 1  # the batch, which may be left open
        if element is None or any(size < 1 for size in sizes) or math.prod(sizes) > MAX_VALUES:
            return None
        return Input(TensorType(tuple(sizes), element), name=names.claim(name), loc=Loc(source))
