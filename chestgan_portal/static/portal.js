// Behaviour that every page shares. Pages work without it.

// A table that is wider than the page is scrolled by keys too, and says what it is. One that fits is no stop of the Tab key.
const wide = () => {
  for (const box of document.querySelectorAll(".wide, pre, .tabs ul")) {
    const over = box.scrollWidth > box.clientWidth;
    if (over) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
    const caption = box.querySelector("caption, thead");
    if (over && box.matches(".wide") && caption) {
      box.setAttribute("role", "region");
      box.setAttribute("aria-label", caption.textContent.trim().replace(/\s+/g, " "));
    } else if (box.matches(".wide")) {
      box.removeAttribute("role");
      box.removeAttribute("aria-label");
    }
  }
};
wide();
for (const here of document.querySelectorAll(".tabs [aria-current]")) {
  const strip = here.closest("ul");
  if (strip) strip.scrollLeft = here.offsetLeft - (strip.clientWidth - here.offsetWidth) / 2;
}
addEventListener("resize", wide);
document.addEventListener("htmx:load", wide);
document.addEventListener("toggle", wide, true);
