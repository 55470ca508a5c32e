"""The page of a report in a real browser: drawn without errors, readable in dark and light."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blocks import save
from click.testing import CliRunner

from ai8xc.cli.main import cli
from ai8xc.driver import Options, compile, load
from ai8xc.report.collect import Json
from ai8xc.report.files import examine
from ai8xc.report.page import as_json, page

MNIST = Path(__file__).parents[2] / "examples/mnist/mnist.onnx"
CHROMIUM = shutil.which("chromium")
DARK = "--blink-settings=preferredColorScheme=0"
LIGHT = "--blink-settings=preferredColorScheme=1"
HOSTILE = '<script>fail()</script>"onload="fail()'

MEASURE = """
const seen = {size: [], colour: {}, focus: 0};
const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
const light = (colour) => parts(colour).slice(0, 3).map((v) => v / 255)
  .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const ground = (element) => {
  for (let e = element; e; e = e.parentElement) {
    const colour = getComputedStyle(e).backgroundColor;
    if ((parts(colour)[3] ?? 1) > 0) return colour;
  }
  return "rgb(255, 255, 255)";
};
const texts = "h1, h2, p, td, th, dt, dd, :not(svg *):is(a), svg text";
for (const element of document.querySelectorAll(texts)) {
  if (!element.textContent.trim() || element.closest("details:not([open])")) continue;
  const style = getComputedStyle(element);
  const box = element.getBoundingClientRect();
  if (!box.width || !box.height) seen.size.push(element.outerHTML.slice(0, 80));
  const ink = element.closest("svg") ? style.fill : style.color;
  const [high, low] = [light(ink), light(ground(element))].sort((a, b) => b - a);
  const key = `${element.tagName}.${element.className.baseVal ?? element.className} ${ink}`;
  if (!element.closest(".badge")) seen.colour[key] = (high + 0.05) / (low + 0.05);
}
for (const element of document.querySelectorAll("a[href]")) {
  const target = element.getAttribute("href");
  if (!target.startsWith("#") || !document.getElementById(target.slice(1))) {
    seen.size.push(`no target ${target}`);
  }
}
const first = document.querySelector("svg a[href]");
if (first) {
  first.focus();
  seen.focus = document.activeElement === first ? 1 : 0;
  // a window without the focus, as a headless one may be, fires no event
  first.dispatchEvent(new FocusEvent("focusin", {bubbles: true}));
}
seen.chosen = document.querySelectorAll(".chosen").length;
document.body.dataset.seen = JSON.stringify(seen);
"""


def examined(path: Path) -> Json:
    return examine(load(path), path.name, Options("max78000"))


@pytest.fixture(scope="module")
def mnist() -> Json:
    return examined(MNIST)


@pytest.fixture(scope="module")
def unet(tmp_path_factory: pytest.TempPathFactory) -> Json:
    return examined(save("unet", tmp_path_factory.mktemp("net")))


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Json:
    folder = tmp_path_factory.mktemp("net")
    (folder / "net.ir").write_text(refused_text())
    return examined(folder / "net.ir")


def refused_text() -> str:
    """A stride that no layer has, in a network whose names are markup."""
    name = json.dumps(HOSTILE)
    return f"""q.graph @n(%x: tensor<1x4x8x8xi8> loc({name})) {{
  %w = q.constant() {{value = splat<1>}} : tensor<4x4x3x3xi8>
  %a = q.conv(%x, %w) {{strides = (2, 3), pads = (1, 1, 1, 1)}} : tensor<1x4x4x3xi8> loc({name})
  return %a
}}
"""


class Elements(HTMLParser):
    """The elements of a page, and the text of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.handlers: list[str] = []
        self.sources: list[str] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name.startswith("on"):
                self.handlers.append(name)
            if name in ("src", "href") and not (value or "").startswith(("#", "data:,")):
                self.sources.append(value or "")
            if name == "id":
                self.ids.append(value or "")


def looked_at(report: Json, folder: Path, scheme: str) -> dict[str, Any]:
    """What a browser made of a page, which must leave nothing on its console."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium (Debian package `chromium`)")
    path = folder / "page.html"
    path.write_text(page(report).replace("</body>", f"<script>{MEASURE}</script></body>"))
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", scheme,
        f"--user-data-dir={folder}/profile", "--dump-dom", path.as_uri(),
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    said = [line for line in result.stderr.splitlines() if "CONSOLE" in line]
    assert not said
    found = re.search(r'data-seen="([^"]*)"', result.stdout)
    assert found, result.stderr[-2000:]
    seen = json.loads(found[1].replace("&quot;", '"').replace("&lt;", "<").replace("&amp;", "&"))
    assert isinstance(seen, dict)
    return seen


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["mnist", "unet", "refused"])
def test_everything_is_visible(
    name: str, scheme: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    seen = looked_at(request.getfixturevalue(name), tmp_path, scheme)
    assert seen["size"] == []
    colours = seen["colour"]
    assert isinstance(colours, dict)
    assert colours
    assert {key: ratio for key, ratio in colours.items() if ratio < 4.5} == {}
    assert seen["focus"] == 1


def test_dark_is_not_light(mnist: Json, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    light = looked_at(mnist, tmp_path / "a", LIGHT)
    assert light["colour"] != looked_at(mnist, tmp_path / "b", DARK)["colour"]


def test_the_focus_marks_the_layer_everywhere(unet: Json, tmp_path: Path) -> None:
    seen = looked_at(unet, tmp_path, LIGHT)
    assert seen["chosen"] > 5  # box, row, bars, tensor, kernels, biases


@pytest.mark.parametrize("name", ["mnist", "unet", "refused"])
def test_a_page_stands_alone(name: str, request: pytest.FixtureRequest) -> None:
    elements = Elements(page(request.getfixturevalue(name)))
    assert elements.tags.count("script") == 1
    assert not elements.handlers
    assert not elements.sources
    assert len(set(elements.ids)) == len(elements.ids)


def test_hostile_names_are_text(refused: Json) -> None:
    text = page(refused)
    assert "<script>fail" not in text
    assert "&lt;script&gt;fail()" in text
    findings = refused["diagnostics"]
    assert isinstance(findings, list)
    assert all(finding["about"] for finding in findings)
    assert HOSTILE in findings[0]["location"]


def test_bytes_depend_on_the_network_alone(mnist: Json) -> None:
    again = examined(MNIST)
    assert (as_json(again), page(again)) == (as_json(mnist), page(mnist))


def test_memory_map_of_mnist(mnist: Json) -> None:
    """A 28 x 28 image of one channel, and 60 channels of it behind the first layer."""
    data = mnist["data_memory"]
    assert isinstance(data, dict)
    tensors = {tensor["name"]: tensor for tensor in data["tensors"]}
    image = tensors["input"]
    assert (image["kind"], image["first"], image["last"]) == ("input", 0, 0)
    assert len(image["memories"]) == 1
    assert image["end"] - image["start"] in (28 * 28, 28 * 28 * 4)
    first = data["tensors"][1]
    assert first["end"] - first["start"] == 28 * 28 * 4
    assert len(first["memories"]) == 15


def test_live_tensors_never_share_bytes(unet: Json) -> None:
    data = unet["data_memory"]
    assert isinstance(data, dict)
    for step in range(len(data["steps"])):
        taken = np.zeros((data["memories"], data["bytes"] // 4), int)
        for tensor in data["tensors"]:
            writes = tensor["first"] == step and tensor["kind"] != "input"
            if tensor["first"] <= step <= tensor["last"] and not writes:
                words = slice(tensor["start"] // 4, tensor["end"] // 4, tensor["word_step"])
                taken[tensor["memories"], words] += 1
        shared = data["steps"][step]
        assert taken.max() <= 1, shared


def test_report_is_emitted() -> None:
    files = compile(MNIST, emit=["report"]).files
    assert sorted(files) == ["report.html", "report.json"]
    found = json.loads(files["report.json"])
    assert found["fits"]
    assert [layer["name"] for layer in found["layers"]][-1] == "logits"
    assert found["cycles"]["total"] == sum(x["cycles"]["total"] for x in found["layers"]) + 1


def test_page_of_a_project(tmp_path: Path) -> None:
    compile(MNIST, emit=["c", "report"]).write(tmp_path / "build")
    html = tmp_path / "page.html"
    result = CliRunner().invoke(cli, ["inspect", str(tmp_path / "build"), "--html", str(html)])
    assert result.exit_code == 0, result.output
    assert html.read_bytes() == (tmp_path / "build/report.html").read_bytes()


@pytest.mark.parametrize(
    "damage", ["[]", "{", '{"schema": 2}', '{"schema": 1, "layers": [{}], "device": {}}']
)
def test_a_damaged_report_is_refused(damage: str, tmp_path: Path) -> None:
    compile(MNIST, emit=["c", "report"]).write(tmp_path / "build")
    (tmp_path / "build/report.json").write_text(damage)
    html = str(tmp_path / "page.html")
    result = CliRunner().invoke(cli, ["inspect", str(tmp_path / "build"), "--html", html])
    assert result.exit_code == 2
    assert not Path(html).exists()
