"""Rules of vendor descriptions: what is wrong before there are layers to look at.

A front end yields these with the place in the description. Sources are the sections of the
hardware semantics; ids are those of its catalogue, or new ones where it has none. Each module has
those of one topic.
"""

from ai8xc.rules.description import (
    of_document,
    of_keys,
    of_operators,
    of_samples,
    of_sequence,
    of_sizes,
)

__all__ = ["of_document", "of_keys", "of_operators", "of_samples", "of_sequence", "of_sizes"]
