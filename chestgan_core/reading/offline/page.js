"use strict";
// One reader, one order, one image at a time. What is answered is kept in this browser, and goes into a file.
(() => {
  const study = JSON.parse(document.getElementById("study").textContent);
  const $ = (id) => document.getElementById(id);
  const storageKey = `chestgan-reading-${study.seal}`;
  const questions = ["rating", ...(study.ask.verdict ? ["verdict", "confidence"] : []), ...(study.ask.tumour ? ["tumour", "conspicuity"] : [])];
  const steps = { rating: 10, confidence: 5, conspicuity: 5 };
  let state = { about: {}, answers: [] };
  const languageKey = "chestgan-reading-language";
  let language = firstLanguage();
  let answer, now, view, seconds, since, cross, keeps = true;

  const words = (name, values = {}) =>
    Object.entries(values).reduce((text, [key, value]) => text.replaceAll(`{${key}}`, value), study.words[language][name]);

  // What the reader chose on an earlier visit, what the maker of the file wanted, or what the browser asks for.
  function firstLanguage() {
    let chosen = null;
    try {
      chosen = localStorage.getItem(languageKey);
    } catch { /* this browser keeps nothing */ }
    const wanted = [chosen, study.language, ...navigator.languages.map((one) => one.slice(0, 2)), "en"];
    return wanted.find((one) => one && Object.hasOwn(study.words, one));
  }

  // ---- what is kept

  function keep() {
    try {
      localStorage.setItem(storageKey, JSON.stringify(state));
      keeps = true;
    } catch {
      keeps = false;
    }
    $("kept").textContent = words(keeps ? "kept" : "not_kept");
  }

  function ours(found) {
    // Only answers to the images of this page, in its order: they are final, and none is skipped.
    return found && Array.isArray(found.answers) && found.answers.length <= study.images.length &&
      found.answers.every((one, at) => one && one.id === study.images[at].id);
  }

  function restore() {
    // Another tab with this page may have gone further: its answers are final, too.
    try {
      const found = JSON.parse(localStorage.getItem(storageKey));
      const further = ours(found) && (found.answers.length > state.answers.length || !state.answers.length);
      if (further) state = { about: found.about || {}, answers: found.answers };
      return further && found.answers.length > 0;
    } catch {
      keeps = false;
      return false;
    }
  }

  function file() {
    return {
      kind: "chestgan-reading-answers", format: 1, study: study.study, version: study.version, reader: study.reader,
      seal: study.seal, ...about(), finished: state.answers.length === study.images.length, answers: state.answers,
    };
  }

  function about() {
    const years = Number.parseInt(state.about.years, 10);
    return {
      profession: state.about.profession || "", specialty: state.about.specialty || "",
      years: years >= 0 && years <= 80 ? years : null,
    };
  }

  function save() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(file())], { type: "application/json" }));
    link.download = `${study.study}-${study.reader}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  async function load(chosen) {
    let found = null;
    try {
      if (chosen.size < 50e6) found = JSON.parse(await chosen.text());
    } catch { /* said below */ }
    if (!found || found.seal !== study.seal || !ours(found)) {
      $("load-fault").textContent = words("wrong_file");
    } else if (found.answers.length < state.answers.length) {
      $("load-fault").textContent = words("shorter");
    } else {
      state = {
        about: { profession: String(found.profession || ""), specialty: String(found.specialty || ""), years: String(found.years ?? "") },
        answers: found.answers,
      };
      $("load-fault").textContent = "";
      keep();
      showStart();
    }
  }

  // ---- pages

  function show(id) {
    for (const page of ["start", "reading", "end"]) $(page).hidden = page !== id;
    scrollTo(0, 0);
  }

  function say() {
    document.documentElement.lang = language;
    for (const node of document.querySelectorAll("[data-word]")) node.textContent = words(node.dataset.word);
    $("intro").textContent = words("intro", { count: study.images.length });
    $("warm").textContent = study.warm_up ? words("warm", { count: study.warm_up }) : "";
    $("begin").textContent = words(state.answers.length ? "continue" : "start");
    $("kept").textContent = words(keeps ? "kept" : "not_kept");
    $("done").textContent = words("done", { count: study.images.length });
    for (const span of document.querySelectorAll("[data-question='verdict'] .scale span")) span.textContent = words(span.dataset.value);
    if (!$("reading").hidden) sayPlace();
  }

  function sayPlace() {
    const place = state.answers.length;
    const warm = place < study.warm_up ? ` (${words("warm_up")})` : "";
    $("place").textContent = words("progress", { place: place + 1, count: study.images.length }) + warm;
    $("next").textContent = words(place + 1 === study.images.length ? "finish" : "next");
    $("image").alt = words("image");
  }

  function showStart() {
    for (const name of ["profession", "specialty", "years"]) $(name).value = state.about[name] || "";
    say();
    if (state.answers.length === study.images.length) show("end");
    else show("start");
  }

  function showImage() {
    const place = state.answers.length;
    if (place === study.images.length) {
      $("image").removeAttribute("src");
      show("end");
      $("save-end").focus();
      return;
    }
    show("reading");
    answer = {};
    now = "rating";
    cross = { x: 0.5, y: 0.5 };
    $("questions").reset();
    $("fault").textContent = "";
    resetView();
    $("image").src = `data:image/png;base64,${study.images[place].png}`;
    $("progress").max = study.images.length;
    $("progress").value = place;
    seconds = 0;
    since = document.hidden ? null : performance.now();
    sayPlace();
    mark();
    document.activeElement.blur();
  }

  // ---- questions

  function asked() {
    return questions.filter((one) => one !== "conspicuity" || answer.tumour !== "none");
  }

  function missing() {
    return asked().find((one) => answer[one] === undefined);
  }

  function mark() {
    for (const set of document.querySelectorAll("fieldset[data-question]")) set.classList.toggle("now", set.dataset.question === now);
    const tumour = study.ask.tumour && (typeof answer.tumour === "object" || now === "tumour");
    $("cross").hidden = !tumour || answer.tumour === "none";
    $("cross").classList.toggle("unset", typeof answer.tumour !== "object");
    if ($("marked")) $("marked").hidden = typeof answer.tumour !== "object";
    const conspicuity = document.querySelector("[data-question='conspicuity']");
    if (conspicuity) conspicuity.disabled = answer.tumour === "none";
    placeCross();
  }

  function give(question, value) {
    answer[question] = value;
    if (question === "tumour" && value === "none") delete answer.conspicuity;
    for (const input of document.querySelectorAll(`input[name='${question}']`)) input.checked = input.value === String(value);
    if (question === "tumour" && value === "none") for (const input of document.querySelectorAll("input[name='conspicuity']")) input.checked = false;
    $("fault").textContent = "";
    const order = asked();
    now = order[Math.min(order.indexOf(question) + 1, order.length - 1)];
    if (answer[now] !== undefined) now = missing() || now;
    mark();
  }

  function next() {
    const lacking = missing();
    if (lacking) {
      now = lacking;
      $("fault").textContent = words("missing");
      mark();
      return;
    }
    if (restore()) {
      showImage();
      return;
    }
    if (since !== null) seconds += (performance.now() - since) / 1000;
    const seen = study.ask.tumour ? typeof answer.tumour === "object" : null;
    state.answers.push({
      id: study.images[state.answers.length].id,
      rating: answer.rating,
      verdict: answer.verdict ?? null,
      confidence: answer.confidence ?? null,
      tumour_seen: seen,
      tumour_x: seen ? answer.tumour.x : null,
      tumour_y: seen ? answer.tumour.y : null,
      conspicuity: seen ? answer.conspicuity : null,
      seconds: Math.min(Math.round(seconds * 100) / 100, 86400),
      answered_at: new Date().toISOString(),
    });
    keep();
    showImage();
  }

  // ---- the image

  function resetView() {
    view = { zoom: 1, x: 0, y: 0, brightness: 1, contrast: 1 };
    for (const name of ["zoom", "brightness", "contrast"]) $(name).value = 1;
    look();
  }

  function look() {
    const least = 1 - view.zoom; // in widths of the frame
    view.x = Math.min(0, Math.max(least, view.x));
    view.y = Math.min(0, Math.max(least, view.y));
    $("image").style.transform = `translate(${view.x * 100}%, ${view.y * 100}%) scale(${view.zoom})`;
    $("image").style.filter = `brightness(${view.brightness}) contrast(${view.contrast})`;
    placeCross();
  }

  function setZoom(zoom) {
    const next = Math.min(6, Math.max(1, zoom));
    for (const axis of ["x", "y"]) view[axis] = 0.5 - ((0.5 - view[axis]) * next) / view.zoom;
    view.zoom = next;
    $("zoom").value = next;
    look();
  }

  function setTone(name, value) {
    view[name] = Math.min(3, Math.max(0.3, Math.round(value * 10) / 10));
    $(name).value = view[name];
    look();
  }

  function placeCross() {
    if (!view || !cross) return;
    $("cross").style.left = `${(view.x + cross.x * view.zoom) * 100}%`;
    $("cross").style.top = `${(view.y + cross.y * view.zoom) * 100}%`;
  }

  function markTumour() {
    give("tumour", { x: Math.round(cross.x * 1e4) / 1e4, y: Math.round(cross.y * 1e4) / 1e4 });
    for (const input of document.querySelectorAll("input[name='tumour']")) input.checked = false;
  }

  const within = (value) => Math.min(1, Math.max(0, value));

  function click(event) {
    if (!study.ask.tumour) return;
    const frame = $("frame").getBoundingClientRect();
    cross = {
      x: within(((event.clientX - frame.left) / frame.width - view.x) / view.zoom),
      y: within(((event.clientY - frame.top) / frame.height - view.y) / view.zoom),
    };
    markTumour();
  }

  // ---- keys

  const moves = { ArrowLeft: ["x", -1], ArrowRight: ["x", 1], ArrowUp: ["y", -1], ArrowDown: ["y", 1] };
  const pans = { h: ["x", 1], l: ["x", -1], k: ["y", 1], j: ["y", -1] };
  const tones = { b: ["brightness", 0.1], v: ["brightness", -0.1], c: ["contrast", 0.1], x: ["contrast", -0.1] };

  function key(event) {
    if ($("reading").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
    const on = event.target.closest("button, select, input[type='range']");
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (on && (name === "Enter" || name === " " || name in moves)) return;
    if (/^[0-9]$/.test(name)) {
      const value = name === "0" ? 10 : Number(name);
      if (now in steps && value <= steps[now]) give(now, value);
      else if (!(now in steps)) return;
    } else if (study.ask.verdict && (name === "r" || name === "s")) give("verdict", name === "r" ? "real" : "synthetic");
    else if (study.ask.tumour && name === "n") give("tumour", "none");
    else if (study.ask.tumour && name in moves && now === "tumour") {
      const [axis, sign] = moves[name];
      cross[axis] = within(cross[axis] + (sign * (event.shiftKey ? 0.1 : 0.02)));
      mark();
    } else if (study.ask.tumour && name === " " && now === "tumour") markTumour();
    else if (name === "Enter") next();
    else if (name === "Backspace") {
      const order = asked();
      now = order[Math.max(0, order.indexOf(now) - 1)];
      mark();
    } else if (study.ask.zoom && (name === "+" || name === "=")) setZoom(view.zoom + 0.5);
    else if (study.ask.zoom && name === "-") setZoom(view.zoom - 0.5);
    else if (study.ask.zoom && name in pans) {
      const [axis, sign] = pans[name];
      view[axis] += sign * 0.25;
      look();
    } else if (study.ask.window && name in tones) setTone(tones[name][0], view[tones[name][0]] + tones[name][1]);
    else if (name === "z") resetView();
    else return;
    event.preventDefault();
  }

  // ---- set up

  function choices(question, values) {
    const scale = document.querySelector(`[data-question='${question}'] .scale`);
    for (const value of values) {
      const label = document.createElement("label");
      const input = document.createElement("input");
      const span = document.createElement("span");
      Object.assign(input, { type: "radio", name: question, value });
      span.textContent = value;
      span.dataset.value = value;
      label.append(input, span);
      scale.append(label);
    }
  }

  function setTheme() {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  }

  for (const node of document.querySelectorAll("[data-if]")) if (!study.ask[node.dataset.if]) node.remove();
  for (const name of ["zoom", "brightness", "contrast"]) {
    if (!$(name)) document.body.append(Object.assign(document.createElement("input"), { id: name, hidden: true }));
  }
  for (const [question, count] of Object.entries(steps)) {
    if (questions.includes(question)) choices(question, Array.from({ length: count }, (_, at) => at + 1));
  }
  if (study.ask.verdict) choices("verdict", ["real", "synthetic"]);

  $("language").value = language;
  $("language").addEventListener("change", () => {
    language = $("language").value;
    try {
      localStorage.setItem(languageKey, language);
    } catch { /* this browser keeps nothing */ }
    say();
  });
  $("theme").addEventListener("click", setTheme);
  $("about").addEventListener("submit", (event) => {
    event.preventDefault();
    for (const name of ["profession", "specialty", "years"]) state.about[name] = $(name).value.slice(0, 128);
    keep();
    showImage();
  });
  $("load").addEventListener("change", () => $("load").files[0] && load($("load").files[0]));
  $("questions").addEventListener("submit", (event) => { event.preventDefault(); next(); });
  $("questions").addEventListener("change", (event) => {
    const { name, value } = event.target;
    give(name, name in steps ? Number(value) : value);
  });
  $("frame").addEventListener("click", click);
  $("zoom").addEventListener("input", () => setZoom(Number($("zoom").value)));
  for (const name of ["brightness", "contrast"]) $(name).addEventListener("input", () => setTone(name, Number($(name).value)));
  $("reset").addEventListener("click", resetView);
  for (const id of ["save", "save-end"]) $(id).addEventListener("click", save);
  document.addEventListener("keydown", key);
  document.addEventListener("visibilitychange", () => {
    if ($("reading").hidden) return;
    if (document.hidden && since !== null) {
      seconds += (performance.now() - since) / 1000;
      since = null;
    } else if (!document.hidden && since === null) since = performance.now();
  });
  addEventListener("beforeunload", (event) => { if (!keeps && state.answers.length) event.preventDefault(); });
  restore();
  showStart();
})();
