"""The IR core: ops, graphs, types, locations, diagnostics, text, passes."""
