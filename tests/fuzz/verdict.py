"""What becomes of a random network: proven, refused, or a finding."""

from dataclasses import dataclass

from ai8xc.driver import Options, compile_graph
from ai8xc.ir.core import Graph
from ai8xc.ir.diag import Rejected, errors
from ai8xc.ir.passes import PassFailed
from ai8xc.ir.verify import verify


@dataclass(frozen=True)
class Verdict:
    """`kind` is "proven", "refused" or "broken"; `rules` are broken rules, `why` is for people."""

    kind: str
    rules: tuple[str, ...] = ()
    why: str = ""


def verdict(graph: Graph, device: str) -> Verdict:
    """Compile a network down to registers, proving every step on random input."""
    options = Options(device, emit=frozenset({"registers"}), prove=lambda line: None)
    try:
        wrong = errors(verify(graph))
        if wrong:
            raise Rejected(wrong)
        compile_graph(graph, options)
    except Rejected as rejected:
        found = errors(rejected.diagnostics)
        ids = tuple(sorted({finding.rule.id for finding in found}))
        why = "; ".join(f"{finding} {' '.join(finding.notes)}" for finding in found)
        return Verdict("refused", ids, why)
    except PassFailed as failed:
        cause = failed.__cause__ or failed
        return Verdict("broken", (), f"{failed}: {type(cause).__name__}: {cause}")
    return Verdict("proven")
