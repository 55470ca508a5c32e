"""The start of quantisation-aware training, and what it means for the optimizer."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import torch
from torch import nn
from torch.nn import Parameter

from ai8xc.ir.diag import Rejected
from ai8xc.ir.loc import Loc
from ai8xc.training.layers import HardwareLayer, set_mode, state
from ai8xc.training.policy import QatPolicy
from ai8xc.training.qat_rules import NO_SUCH_LAYER

_SHOWN: Final = 8
"""Layers that a message names."""


def quantized_layers(module: nn.Module) -> Iterator[tuple[str, HardwareLayer]]:
    """Yield the layers that have weights, by dotted name."""
    for name, layer in module.named_modules():
        if isinstance(layer, HardwareLayer) and layer.op is not None:
            yield name, layer


def initiate_qat(module: nn.Module, policy: QatPolicy) -> None:
    """Start quantisation-aware training: fold batch norms, set each layer's bits and quantile.

    Parameters stay the same objects; those of batch norms are gone afterwards, see
    `update_optimizer`. Raises `Rejected` when an override names no layer of the network.
    """
    layers = dict(quantized_layers(module))
    check_overrides(policy, layers)
    set_mode(module, "qat")
    for name, layer in layers.items():
        layer.bits = policy.bits(name)
        layer.quantile = policy.quantile(name)
        state.write_controls(layer)


def check_overrides(policy: QatPolicy, layers: Mapping[str, HardwareLayer]) -> None:
    """Raise `Rejected` (unusable) with a finding for each override without a layer."""
    findings = []
    for name in policy.overrides:
        if name not in layers:
            near = difflib.get_close_matches(name, list(layers), 1)
            known = ", ".join(f"`{layer}`" for layer in list(layers)[:_SHOWN])
            help = f"did you mean `{near[0]}`?" if near else f"it has {known}"
            findings.append(NO_SUCH_LAYER.at(Loc("policy"), help=help, name=name))
    if findings:
        raise Rejected(findings, unusable=True)


def update_optimizer(module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Make an optimizer forget the parameters that a network has no more, and take in new ones.

    State, options and groups of the others stay, so that learning rate schedules go on. New
    parameters join the first group.
    """
    current = {id(p): p for p in module.parameters() if p.requires_grad}
    known = set()
    for group in optimizer.param_groups:
        gone = [p for p in group["params"] if id(p) not in current]
        group["params"] = [p for p in group["params"] if id(p) in current]
        known |= {id(p) for p in group["params"]}
        for parameter in gone:
            optimizer.state.pop(parameter, None)
    optimizer.param_groups[0]["params"] += [p for key, p in current.items() if key not in known]


def optimizer_state(module: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return an optimizer's state by names of parameters instead of positions."""
    names = {id(p): name for name, p in module.named_parameters()}
    groups = [
        {**group, "params": [names[id(p)] for p in group["params"]]}
        for group in optimizer.param_groups
    ]
    return {
        "state": {names[id(p)]: dict(entry) for p, entry in optimizer.state.items()},
        "param_groups": groups,
    }


def load_optimizer_state(
    module: nn.Module, optimizer: torch.optim.Optimizer, saved: Mapping[str, Any]
) -> None:
    """Give an optimizer the state that `optimizer_state` returned, perhaps before a fold.

    Entries of parameters that the network has no more are dropped; a parameter without an entry,
    or with one of another shape, starts anew.
    """
    parameters = dict(module.named_parameters())
    for group, options in zip(optimizer.param_groups, saved["param_groups"], strict=False):
        group.update({key: value for key, value in options.items() if key != "params"})
    for name, entry in saved["state"].items():
        parameter = parameters.get(name)
        if parameter is not None and _fits(parameter, entry):
            optimizer.state[parameter] = {
                key: _copied(value, parameter) for key, value in entry.items()
            }


def _copied(value: object, parameter: Parameter) -> object:
    if not isinstance(value, torch.Tensor):
        return value
    return value.clone() if value.dim() == 0 else value.to(parameter.device, copy=True)


def _fits(parameter: Parameter, entry: Mapping[str, Any]) -> bool:
    tensors = [value for value in entry.values() if isinstance(value, torch.Tensor)]
    return all(tensor.dim() == 0 or tensor.shape == parameter.shape for tensor in tensors)
