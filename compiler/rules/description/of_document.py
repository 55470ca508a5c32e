"""What is wrong with a description as a document, and with the network as a whole."""

from __future__ import annotations

from ai8xc.rules.description.rule import described

CFG_FILE = described(
    "CFG-FILE",
    "2.1",
    "`{name}` cannot be read: {why}",
    "The description is a regular file with one YAML document.",
    title="readable file",
    cure="correct the path; the file must be readable, and no folder",
)
CFG_YAML = described(
    "CFG-YAML",
    "3.1",
    "the description is not YAML: {why}",
    "A description is one YAML 1.1 document of plain values: a mapping with the list `layers`.",
    title="YAML document",
    cure="correct the line; keys and values are separated by `: `, lists and blocks are indented",
)
CFG_DUPKEY = described(
    "CFG-DUPKEY",
    "2.1",
    "the key `{key}` is given twice",
    "In YAML the second value would silently replace the first.",
    title="keys once",
    cure="delete one of the two lines",
)
CFG_KEY = described(
    "CFG-KEY",
    "2.1",
    "there is no key `{key}` for a network",
    """Keys of a network are `arch`, `dataset`, `layers`, `output_map`, `unload`, `bias`,
    `weights`, `snoop` and `data_buffer`.""",
    title="known keys",
    cure="delete the line, or correct its name; keys of layers stand below `layers`",
)
CFG_MANDATORY = described(
    "CFG-MANDATORY",
    "2.1",
    "the key `{key}` is missing",
    "`arch`, `dataset` and `layers` must be given.",
    title="mandatory keys",
    cure="add it: `arch: NAME`, `dataset: NAME`, `layers:` with a list",
)
CFG_VALUE = described(
    "CFG-VALUE",
    "3.2",
    "`{key}` cannot be {value}",
    "The value has another type than the key takes.",
    title="values of keys",
    cure="give a value of the kind that the manual names for the key",
)
LAYER_KEY = described(
    "LAYER-KEY",
    "2.1",
    "`{layer}` has an unknown key `{key}`",
    "The manual lists the keys of a layer; a misspelt one would silently change nothing.",
    title="known keys of a layer",
    cure="delete the line, or correct its name",
)
LAYER_DUPALIAS = described(
    "LAYER-DUPALIAS",
    "2.1",
    "`{layer}` gives `{key}` and `{other}`, which are the same",
    "Some keys have several names; only one of them may be used in a layer.",
    title="one name of a key",
    cure="delete one of the two lines",
)
NET_CKPT = described(
    "NET-CKPT",
    "2.1",
    "network `{arch}` needs a checkpoint",
    """Only networks with `arch: test` take weights from arrays; others need the trained
    checkpoint: `--weights FILE`.""",
    title="checkpoint given",
    cure="give the trained checkpoint with `--weights FILE`, or set `arch: test`",
)
NET_ARCH = described(
    "NET-ARCH",
    "2.1",
    "the checkpoint is of `{found}`, not of `{arch}`",
    "A checkpoint names the architecture that it was trained for.",
    title="matching checkpoint",
    cure="give the checkpoint of this network, or correct `arch`",
)
NET_CKPT_KEYS = described(
    "NET-CKPT-KEYS",
    "2.1",
    "the checkpoint has no `{key}`",
    "A checkpoint holds `state_dict` and `epoch`.",
    title="complete checkpoint",
    cure="save the checkpoint again with `state_dict` and `epoch`, or quantise the original one",
)
NET_WCOUNT = described(
    "NET-WCOUNT",
    "2.1",
    "{count} weight tensors for {wanted} layers with weights",
    """Each convolution and linear layer without `weight_source` and `bypass` takes the next tensor
    of the checkpoint.""",
    title="weights for each layer",
    cure="""give the checkpoint of this network; layers without weights are `op: none` or have
    `weight_source`""",
)
NET_BN = described(
    "NET-BN",
    "2.1",
    "`{name}` looks like an unfolded batch norm",
    "Batch norms are folded into the layer before them when a checkpoint is quantised.",
    title="folded batch norm",
    cure="""fold the batch norms first: `ai8xc quantize` does so, at no cost and with the same
    outputs""",
)
NET_PIPE = described(
    "NET-PIPE",
    "2.1",
    "{device} has no pipeline",
    "Only MAX78002 has one, and uses it unless told otherwise.",
    title="pipeline",
    feature="pipeline",
    cure="leave the option out: without it the clock is the same",
)
NET_PLL = described(
    "NET-PLL",
    "2.1",
    "{device} has no PLL",
    "Only MAX78002 can clock the accelerator by its PLL.",
    title="PLL",
    feature="pll",
    cure="leave the option out, or compile for max78002",
)
NET_MAXSPEED = described(
    "NET-MAXSPEED",
    "2.1",
    "the fastest loading needs the PLL",
    "Kernels load at full speed only with the clock of the PLL.",
    title="fastest loading",
    feature="pll",
    cure="leave the option out; the kernels load a little later, the outputs are the same",
)
NET_ONESHOT_TIMER = described(
    "NET-ONESHOT-TIMER",
    "2.1",
    "a timer cannot measure one-shot execution",
    "The run stops after each layer.",
    title="one-shot without timer",
    cure="leave one of the two options out",
)
NET_OUTPUT_LAST = described(
    "NET-OUTPUT-LAST",
    "2.1",
    "`{layer}` is marked as output, but the last layer is not",
    """As soon as one layer has the key `output`, the last layer is none unless it has it too.""",
    "warning",
    title="last layer is an output",
)
NET_RISCV = described(
    "NET-RISCV",
    "2.1",
    "{what} needs the RISC-V core and its cache",
    "Deep sleep and the fast FIFO are the work of the second core, which needs its cache.",
    title="RISC-V core",
    cure="add `--riscv`, and leave `--no-riscv-cache` out",
)
