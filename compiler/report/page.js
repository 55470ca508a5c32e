"use strict";
// Everything that belongs to the layer under the pointer or the focus stands out in all pictures.
const mark = (layer) => {
  for (const old of document.querySelectorAll(".chosen")) old.classList.remove("chosen");
  if (layer === undefined) return;
  for (const part of document.querySelectorAll(`[data-layer="${layer}"]`)) part.classList.add("chosen");
};
const layerOf = (event) => event.target.closest?.("[data-layer]")?.dataset.layer;
for (const kind of ["pointerover", "focusin"]) {
  document.addEventListener(kind, (event) => mark(layerOf(event)));
}
