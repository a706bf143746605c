// The image of a rating page: zoom, window, and where the tumour is. The same for every image of a study.
(() => {
  const STEP = 1.25, MOST = 8, NARROWEST = 0.05, WIDEST = 4;
  let low = 0, high = 1; // the window stays from one image to the next
  let zoom = 1, x = 0, y = 0; // shift of the picture in shares of the stage

  const clamp = (value, least, most) => Math.min(Math.max(value, least), most);
  const viewer = () => document.querySelector(".viewer");
  const may = (what) => viewer()?.dataset[what] === "yes";

  function show() {
    const picture = document.querySelector(".viewer .picture");
    if (!picture) return;
    const most = (zoom - 1) / 2;
    x = clamp(x, -most, most);
    y = clamp(y, -most, most);
    picture.style.transform = `translate(${x * 100}%, ${y * 100}%) scale(${zoom})`;
    picture.style.setProperty("--zoom", zoom);
    for (const part of document.querySelectorAll("#window feFuncR, #window feFuncG, #window feFuncB")) {
      part.setAttribute("slope", 1 / (high - low));
      part.setAttribute("intercept", -low / (high - low));
    }
    picture.classList.toggle("windowed", low !== 0 || high !== 1);
  }

  function zoomTo(value, at = { x: 0, y: 0 }) {
    if (!may("zoom")) return;
    const before = zoom;
    zoom = clamp(value, 1, MOST);
    // What lies under the pointer stays there. at: from the middle of the stage, in shares of it.
    x = at.x - (at.x - x) * (zoom / before);
    y = at.y - (at.y - y) * (zoom / before);
    show();
  }

  function setWindow(centre, width) {
    if (!may("window")) return;
    width = clamp(width, NARROWEST, WIDEST);
    centre = clamp(centre, 0, 1);
    low = centre - width / 2;
    high = centre + width / 2;
    show();
  }

  const brighter = (share) => setWindow((low + high) / 2 - share * (high - low), high - low);
  const contrast = (factor) => setWindow((low + high) / 2, (high - low) / factor);

  function reset() {
    [zoom, x, y, low, high] = [1, 0, 0, 0, 1];
    show();
  }

  const field = (name) => document.querySelector(`.questions [name="${name}"]`);

  function mark() {
    const at = document.querySelector(".viewer .mark");
    if (!at) return;
    const seen = document.querySelector('.questions [name="tumour"][value="seen"]').checked;
    const [left, top] = [field("tumour_x").value, field("tumour_y").value];
    at.hidden = !seen || left === "" || top === "";
    at.style.left = `${left}%`;
    at.style.top = `${top}%`;
  }

  function markAt(left, top) {
    document.querySelector('.questions [name="tumour"][value="seen"]').checked = true;
    field("tumour_x").value = clamp(left, 0, 100).toFixed(1);
    field("tumour_y").value = clamp(top, 0, 100).toFixed(1);
    field("tumour_y").dispatchEvent(new Event("change", { bubbles: true }));
  }

  // Pointers: one drags, two zoom. A click that did not move is a mark.
  const pointers = new Map();
  let moved = 0;

  const share = (event) => {
    const box = document.querySelector(".viewer .stage").getBoundingClientRect();
    return { x: (event.clientX - box.left) / box.width - 0.5, y: (event.clientY - box.top) / box.height - 0.5 };
  };
  const onStage = (event) => event.target instanceof Element && event.target.closest(".viewer .stage");
  const apart = () => {
    const [a, b] = [...pointers.values()];
    return Math.hypot(a.x - b.x, a.y - b.y);
  };

  document.addEventListener("pointerdown", (event) => {
    if (!onStage(event)) return;
    pointers.set(event.pointerId, { ...share(event), button: event.button });
    if (pointers.size === 1) moved = 0;
    document.querySelector(".viewer .stage").setPointerCapture(event.pointerId);
  });
  document.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const here = share(event);
    const [dx, dy] = [here.x - before.x, here.y - before.y];
    moved += Math.abs(dx) + Math.abs(dy);
    if (pointers.size === 2) {
      const far = apart();
      pointers.set(event.pointerId, { ...here, button: before.button });
      zoomTo(zoom * (apart() / far), here);
      return;
    }
    pointers.set(event.pointerId, { ...here, button: before.button });
    if (before.button === 2 || (zoom === 1 && event.pointerType === "mouse")) {
      setWindow((low + high) / 2 + dy * (high - low), (high - low) * (1 + dx));
    } else if (zoom > 1) {
      x += dx;
      y += dy;
      show();
    }
  });
  const lifted = (event) => {
    const before = pointers.get(event.pointerId);
    pointers.delete(event.pointerId);
    if (event.type !== "pointerup" || !before || before.button !== 0 || moved > 0.01 || !may("tumour")) return;
    const box = document.querySelector(".viewer .picture").getBoundingClientRect();
    markAt(((event.clientX - box.left) / box.width) * 100, ((event.clientY - box.top) / box.height) * 100);
  };
  document.addEventListener("pointerup", lifted);
  document.addEventListener("pointercancel", lifted);
  document.addEventListener("contextmenu", (event) => onStage(event) && event.preventDefault());
  document.addEventListener("wheel", (event) => {
    if (!onStage(event) || !may("zoom")) return;
    event.preventDefault();
    zoomTo(zoom * (event.deltaY < 0 ? STEP : 1 / STEP), share(event));
  }, { passive: false });

  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element && event.target.closest(".tools button");
    if (!button) return;
    if (button.dataset.tool === "in") zoomTo(zoom * STEP);
    else if (button.dataset.tool === "out") zoomTo(zoom / STEP);
    else if (button.dataset.tool === "reset") reset();
    else setWindow((+button.dataset.low + +button.dataset.high) / 2, button.dataset.high - button.dataset.low);
  });

  const KEYS = {
    "+": () => zoomTo(zoom * STEP), "=": () => zoomTo(zoom * STEP), "-": () => zoomTo(zoom / STEP),
    b: () => brighter(0.1), B: () => brighter(-0.1), c: () => contrast(1.15), C: () => contrast(1 / 1.15),
    z: reset,
  };
  document.addEventListener("keydown", (event) => {
    if (!viewer() || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target instanceof HTMLInputElement && event.target.type === "number" && "+-".includes(event.key)) return;
    KEYS[event.key]?.();
  });

  document.addEventListener("input", mark);
  document.addEventListener("change", mark);
  function begin() {
    [zoom, x, y] = [1, 0, 0];
    const tools = document.querySelector(".viewer .tools");
    if (tools) tools.hidden = false;
    pointers.clear();
    show();
    mark();
  }
  document.addEventListener("rating:begun", begin);
  begin();
})();
