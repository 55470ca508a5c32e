"""The registers of a layer and the function that gives the value of each."""

from __future__ import annotations

from collections.abc import Mapping

from ai8xc.backends.ai8x import address_registers as addresses
from ai8xc.backends.ai8x import operator_registers as operators
from ai8xc.backends.ai8x.layer_context import Formula

FORMULAS: Mapping[str, Formula] = {
    "NXTLYR": addresses.next_layer,
    "RCNT": addresses.row_count,
    "CCNT": addresses.column_count,
    "PRCNT": addresses.pool_rows,
    "PCCNT": addresses.pool_columns,
    "STRIDE": addresses.stride,
    "WPTR_BASE": addresses.write_pointer,
    "WPTR_TOFFS": addresses.slot_step,
    "WPTR_MOFFS": addresses.memory_step,
    "WPTR_CHOFFS": addresses.pass_step,
    "RPTR_BASE": addresses.read_pointer,
    "LCTL": operators.layer_control,
    "LCTL2": operators.layer_control_2,
    "MCNT": operators.kernel_range,
    "MCNT1": operators.kernel_end,
    "MCNT2": operators.kernel_start,
    "OCHAN": operators.kernel_outputs,
    "ONED": operators.operands,
    "TPTR": operators.row_buffer,
    "POST": operators.post_processing,
    "ENA": operators.enable,
}
"""The registers in the order in which they are written; a device lacks some of them."""
