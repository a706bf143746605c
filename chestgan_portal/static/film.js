// A progress film: frames that move when somebody presses Play, and stand still otherwise.
for (const player of document.querySelectorAll(".player")) {
  const count = Number(player.dataset.frames);
  const image = player.querySelector("img");
  const button = player.querySelector("[data-play]");
  const slider = player.querySelector("input");
  const output = player.querySelector("output");
  let timer = 0;
  player.querySelector(".controls").hidden = count < 2;
  const show = (number) => {
    image.src = `${player.dataset.path}${number}.png`;
    slider.value = number;
    slider.setAttribute("aria-valuetext", `${number + 1} / ${count}`);
    output.value = `${number + 1} / ${count}`;
  };
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    button.textContent = button.dataset.playText;
  };
  const step = () => {
    const next = Number(slider.value) + 1;
    if (next >= count) stop();
    else show(next);
  };
  button.addEventListener("click", () => {
    if (timer) {
      stop();
      return;
    }
    if (Number(slider.value) >= count - 1) show(0);
    // Frames are loaded before, or the first time would be a film of gaps.
    for (let number = 0; number < count; number += 1) new Image().src = `${player.dataset.path}${number}.png`;
    timer = setInterval(step, 400);
    button.textContent = button.dataset.stopText;
  });
  slider.addEventListener("input", () => {
    stop();
    show(Number(slider.value));
  });
}
