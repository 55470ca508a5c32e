"""The catalogue of what a network for the accelerators must obey, one function a rule.

`catalogue.check` runs every rule on a graph of the hardware level; `description` has the rules of
vendor descriptions, which are broken before there is such a graph.
"""
