// One image: its values where the pointer is, zoom and neighbours by keys. The page works without it.
const image = document.getElementById("image");
const view = image.closest(".view");
const output = document.getElementById("value");
const size = Number(image.dataset.size);
const low = Number(image.dataset.low);
const high = Number(image.dataset.high);
const scales = [...document.querySelectorAll("[data-scale]")].filter((one) => one.tagName === "A");
let scale = Number(image.dataset.scale);
let grey = null;

document.getElementById("keys").hidden = false;
output.hidden = false;

// Values come from the image as published: through a preset several of them are one grey level.
const published = new Image();
published.addEventListener("load", () => {
  const canvas = document.createElement("canvas");
  canvas.width = size;
  canvas.height = size;
  const context = canvas.getContext("2d");
  context.drawImage(published, 0, 0);
  grey = context.getImageData(0, 0, size, size).data;
});
published.src = image.dataset.values;

const read = (event) => {
  if (!grey) return;
  const box = image.getBoundingClientRect();
  const column = Math.floor(((event.clientX - box.left) / box.width) * size);
  const row = Math.floor(((event.clientY - box.top) / box.height) * size);
  if (column < 0 || row < 0 || column >= size || row >= size) return;
  const level = grey[4 * (row * size + column)];
  const value = Math.round(low + (level / 255) * (high - low));
  const end = level === 0 ? ` ${image.dataset.below}` : level === 255 ? ` ${image.dataset.above}` : "";
  output.value = `x ${column}, y ${row}: ${value} ${image.dataset.unit}${end}`;
};
image.addEventListener("pointermove", read);
image.addEventListener("pointerdown", read);

const enlarge = (wanted, chosen = true) => {
  const link = scales.find((one) => Number(one.dataset.scale) === wanted);
  if (!link) return;
  scale = wanted;
  image.width = scale * size;
  image.height = scale * size;
  for (const one of scales) {
    if (one === link) one.setAttribute("aria-current", "true");
    else one.removeAttribute("aria-current");
  }
  for (const id of chosen ? ["previous", "following"] : []) {
    const other = document.getElementById(id);
    if (!other) continue;
    const address = new URL(other.href);
    address.searchParams.set("scale", scale);
    other.href = address;
  }
};
// On a small screen an image that is larger than its place is made as large as fits, unless somebody chose a scale.
if (!new URLSearchParams(location.search).has("scale") && scale * size > view.clientWidth) {
  const fitting = scales.map((one) => Number(one.dataset.scale)).filter((one) => one * size <= view.clientWidth);
  if (fitting.length) enlarge(Math.max(...fitting), false);
}
for (const one of scales) {
  one.addEventListener("click", (event) => {
    event.preventDefault();
    enlarge(Number(one.dataset.scale));
  });
}

const windows = [...document.querySelectorAll(".choices a:not([data-scale])")];
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
  const known = scales.map((one) => Number(one.dataset.scale));
  const at = known.indexOf(scale);
  if (event.key === "+" || event.key === "=") enlarge(known[at + 1]);
  else if (event.key === "-") enlarge(known[at - 1]);
  else if (event.key === "w" || event.key === "W") {
    const now = windows.findIndex((one) => one.hasAttribute("aria-current"));
    if (windows.length) windows[(now + 1) % windows.length].click();
  } else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
    // An image that is larger than its place is moved by the arrows instead.
    if (document.activeElement === view && view.scrollWidth > view.clientWidth) return;
    document.getElementById(event.key === "ArrowLeft" ? "previous" : "following")?.click();
  }
});
