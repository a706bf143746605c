// Behaviour that every page shares. Pages work without it.

// A table that is wider than the page is scrolled by keys too, and says what it is. One that fits is no stop of the Tab key.
const wide = () => {
  const named = new Map();
  for (const box of document.querySelectorAll(".wide, pre")) {
    const over = box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight + 1;
    if (over) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
    if (!box.matches(".wide")) continue;
    if (over) {
      const name = called(box), before = named.get(name) || 0;
      named.set(name, before + 1);
      box.setAttribute("role", "region");
      box.setAttribute("aria-label", before ? `${name} (${before + 1})` : name);
    } else {
      box.removeAttribute("role");
      box.removeAttribute("aria-label");
    }
  }
};
const called = (box) => {
  const section = box.closest("section, article, main");
  const above = [...(section ? section.querySelectorAll("h1, h2, h3") : [])];
  const nearest = above.filter((one) => one.compareDocumentPosition(box) & Node.DOCUMENT_POSITION_FOLLOWING).pop();
  const found = [above[0], nearest === above[0] ? null : nearest, box.querySelector("caption, thead")];
  const name = found.filter(Boolean).map((one) => one.textContent.trim().replace(/\s+/g, " ")).join(": ");
  return found.filter(Boolean).length > 1 ? name : `${name}: 1`; // the section itself has the name of its heading
};
wide();
for (const here of document.querySelectorAll(".tabs [aria-current]")) {
  const strip = here.closest("ul");
  if (strip) strip.scrollLeft = here.offsetLeft - (strip.clientWidth - here.offsetWidth) / 2;
}
addEventListener("resize", wide);
document.addEventListener("htmx:load", wide);
document.addEventListener("toggle", wide, true);
