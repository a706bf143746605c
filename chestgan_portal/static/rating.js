// The questions of a rating page: by keys, without losing what was typed, and without a new page for each image.
(() => {
  const STORED = "chestgan-answer:";
  let seconds = 0, since = null; // in sight, of the present image

  const form = () => document.querySelector(".questions");
  const questions = () => [...document.querySelectorAll(".question")].filter((one) => !one.hidden);
  const radios = (question) => [...question.querySelectorAll('[type="radio"]')];
  const value = (name) => form()?.querySelector(`[name="${name}"]:checked`)?.value;

  // Time in sight
  function count() {
    if (since !== null) seconds += (performance.now() - since) / 1000;
    since = document.visibilityState === "visible" && form() ? performance.now() : null;
    if (form()) form().elements.seconds.value = seconds.toFixed(2);
  }

  // What was typed survives a reload, a login and a server that is down
  function keep() {
    if (!form()) return;
    count();
    const typed = Object.fromEntries(new FormData(form()));
    delete typed.csrf;
    try {
      sessionStorage.setItem(STORED + form().dataset.token, JSON.stringify(typed));
    } catch { /* no room, or not allowed: the page itself still holds it */ }
  }
  function restore() {
    let typed = null;
    try {
      for (const key of Object.keys(sessionStorage)) {
        if (key.startsWith(STORED) && key !== STORED + form().dataset.token) sessionStorage.removeItem(key);
      }
      typed = JSON.parse(sessionStorage.getItem(STORED + form().dataset.token));
    } catch { /* as above */ }
    if (!typed) return;
    seconds = Number(typed.seconds) || 0;
    for (const [name, text] of Object.entries(typed)) {
      if (name === "token" || name === "seconds") continue;
      for (const input of form().querySelectorAll(`[name="${CSS.escape(name)}"]`)) {
        if (input.type === "radio") input.checked = input.checked || input.value === text;
        else if (!input.value) input.value = text;
      }
    }
  }

  function say(what) {
    const place = document.querySelector(".questions .messages");
    const sentence = document.querySelector("#sentences")?.content.querySelector(`[data-case="${what}"]`);
    if (!place || !sentence) return;
    const line = document.createElement("p");
    line.className = "said bad";
    line.textContent = sentence.textContent;
    place.replaceChildren(line);
  }

  // Which question is asked now
  function answered(question) {
    const name = question.dataset.question;
    if (name === "tumour" && value("tumour") === "seen") {
      return form().elements.tumour_x.value !== "" && form().elements.tumour_y.value !== "";
    }
    return value(name) !== undefined;
  }
  const present = () => document.activeElement?.closest(".question") ?? questions().find((one) => !answered(one));
  function focusOn(question) {
    const target = question ? radios(question).find((one) => one.checked) ?? radios(question)[0] : form().querySelector(".send");
    target.focus({ preventScroll: window.innerWidth >= 832 });
    target.scrollIntoView({ block: "nearest" });
  }
  function choose(question, text) {
    const radio = radios(question).find((one) => one.value === text);
    if (!radio) return;
    radio.checked = true;
    radio.dispatchEvent(new Event("change", { bubbles: true }));
    const all = questions(), later = all.slice(all.indexOf(question) + 1);
    focusOn(later.find((one) => !answered(one)) ?? all.find((one) => !answered(one)));
  }
  const named = (name) => questions().find((one) => one.dataset.question === name);
  function fits() {
    const conspicuity = document.querySelector('[data-question="conspicuity"]');
    if (conspicuity) conspicuity.hidden = value("tumour") !== "seen";
    const at = document.querySelector(".question .at");
    if (at) at.hidden = value("tumour") !== "seen";
  }

  function onDigit(digit) {
    const text = digit === "0" ? "10" : digit, now = present();
    const scale = now && radios(now).some((one) => one.value === text) ? now : named("rating");
    choose(scale, text);
  }
  function onLetter(letter) {
    const [name, text] = { r: ["verdict", "real"], s: ["verdict", "synthetic"], n: ["tumour", "none"] }[letter];
    if (named(name)) choose(named(name), text);
  }
  function place() {
    if (!named("tumour")) return;
    const { tumour_x: left, tumour_y: top } = form().elements;
    form().querySelector('[name="tumour"][value="seen"]').checked = true;
    fits();
    if (left.value === "" || top.value === "") left.value = top.value = "50";
    left.dispatchEvent(new Event("change", { bubbles: true }));
    left.focus();
  }
  function move(event) {
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    for (const [name, step] of [["tumour_x", dx], ["tumour_y", dy]]) {
      const input = form().elements[name];
      const moved = Number(input.value) + step * (event.shiftKey ? 5 : 1);
      input.value = String(Math.round(Math.min(Math.max(moved, 0), 100) * 10) / 10);
    }
    form().elements.tumour_x.dispatchEvent(new Event("change", { bubbles: true }));
  }

  document.addEventListener("keydown", (event) => {
    const target = event.target;
    if (!form() || event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = target.matches?.('[type="number"]'), arrow = event.key.startsWith("Arrow");
    if (typing && arrow) {
      event.preventDefault();
      move(event);
    } else if (event.key === "Enter" && !target.matches("a, summary, button")) {
      event.preventDefault();
      form().requestSubmit(form().querySelector(".send"));
    } else if (typing) {
      return;
    } else if (/^[0-9]$/.test(event.key)) {
      event.preventDefault();
      onDigit(event.key);
    } else if (/^[rsn]$/i.test(event.key)) {
      onLetter(event.key.toLowerCase());
    } else if (/^t$/i.test(event.key)) {
      event.preventDefault(); // not typed into the field that gets the focus
      place();
    } else if ((event.key === "ArrowUp" || event.key === "ArrowDown") && target.closest?.(".questions, body")) {
      const all = questions(), at = all.indexOf(present()) + (event.key === "ArrowUp" ? -1 : 1);
      if (all[at]) {
        event.preventDefault();
        focusOn(all[at]);
      }
    }
  });

  // Sending
  document.addEventListener("submit", (event) => {
    if (event.target !== form()) return;
    keep();
    const missing = questions().find((one) => !answered(one));
    if (!missing) return;
    event.preventDefault();
    event.stopPropagation();
    say("missing");
    focusOn(missing);
  }, true);
  document.addEventListener("htmx:beforeSwap", (event) => {
    // These hold the present image and a sentence. Any other failure leaves the page as it is.
    if ([409, 422].includes(event.detail.xhr.status)) {
      event.detail.shouldSwap = true;
      event.detail.isError = false;
    }
  });
  document.addEventListener("htmx:sendError", () => say("failed"));
  document.addEventListener("htmx:timeout", () => say("failed"));
  document.addEventListener("htmx:responseError", () => say("refused"));
  document.addEventListener("htmx:afterSwap", (event) => event.detail.target.id === "reading" && begin());

  document.addEventListener("input", () => form() && (fits(), keep()));
  document.addEventListener("change", () => form() && (fits(), keep()));
  document.addEventListener("visibilitychange", count);
  addEventListener("pagehide", keep);

  function begin() {
    [seconds, since] = [0, null];
    document.dispatchEvent(new Event("rating:begun"));
    const heading = document.querySelector("#reading [data-begin]") ?? document.querySelector("#reading [data-focus]");
    if (!form()) {
      heading?.focus();
      return;
    }
    restore();
    fits();
    document.dispatchEvent(new Event("change"));
    const image = document.querySelector(".viewer img");
    image.addEventListener("load", count, { once: true });
    image.addEventListener("error", () => say("no-image"), { once: true });
    if (image.complete) image.naturalWidth ? count() : say("no-image");
    if (window.innerWidth < 832) document.querySelector(".rating").scrollIntoView({ block: "start" });
    focusOn(questions().find((one) => !answered(one)));
  }
  begin();
})();
