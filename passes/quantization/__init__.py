"""Post-training quantisation, one question per module; `passes/quantize.py` asks them in order.

`host` what the core computes, `qdq` what the model has quantised itself, `support` what has an
integer form, `calibration` and `statistics` which values occur, `groups` which tensors share a
scale, `error` what a choice costs, `scales` the cheapest choice, `rounding` and `least_squares`
the integers, `lower` the ops.
"""
