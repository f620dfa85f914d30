for (const box of document.querySelectorAll(".patchbox")) {
  const { packed, words, cut, languages, spoken, layers, wide, k, columns, dominant, placed, places, starts, ends } = box.dataset;
  const bytes = atob(packed), names = words.split("\n"), short = cut.split("\n"), tongues = languages.split("\n");
  const spoke = spoken.split(" "), layer = layers.split(" "), ranks = +k, size = +wide + 1, across = +columns;
  const named = places ? places.split("\n") : [];
  const svg = box.querySelector(".patches, .clip"), patches = [...svg.querySelectorAll("g")];
  const slider = box.querySelector("input[type=range]"), told = box.querySelector("output");
  const where = box.querySelector(".where"), list = box.querySelector(".tops");
  let chosen = -1;
  const top = (patch, rank) => {
    const at = ((+slider.value * patches.length + patch) * ranks + rank) * size;
    let word = 0;
    for (let i = size - 2; i >= 0; i--) word = word * 256 + bytes.charCodeAt(at + i);
    return { word, p: (bytes.charCodeAt(at + size - 1) / 255) ** 2 };
  };
  const tops = (patch) => Array.from({ length: ranks }, (_, rank) => top(patch, rank));
  const tell = () => {
    patches.forEach((one, i) => one.classList.toggle("chosen", i === chosen));
    if (chosen < 0) return;
    const lies = placed ? `row ${Math.floor(chosen / across)}, column ${chosen % across}` : `position ${chosen}`;
    where.textContent = `layer ${layer[slider.value]}, ${named[chosen] || lies}`;
    list.replaceChildren(...tops(chosen).map(({ word, p }) => {
      const item = document.createElement("li"), token = document.createElement("bdi"), share = document.createElement("i");
      token.textContent = names[word];
      share.textContent = p.toFixed(p < 0.095 ? 3 : 2);
      item.append(token, " ", share, " ", tongues[spoke[word]]);
      return item;
    }));
  };
  const draw = () => {
    told.textContent = slider.ariaValueText = `layer ${layer[slider.value]}`;
    patches.forEach((one, i) => {
      const best = top(i, 0), [shade, text] = [one.querySelector("path"), one.querySelector("text")];
      const own = dominant && tongues[spoke[best.word]] === dominant;
      shade.setAttribute("class", `s${Math.round(10 * best.p)}${own ? " dom" : ""}`);
      text.setAttribute("class", own ? "dom" : "");
      text.textContent = short[best.word] || names[best.word];
      one.querySelector("title")?.remove();
    });
    tell();
  };
  const choose = (event) => {
    const patch = patches.indexOf(event.target.closest("g"));
    if (patch >= 0) chosen = patch;
    tell();
  };
  svg.addEventListener("pointermove", choose);
  svg.addEventListener("click", choose);
  svg.tabIndex = 0;
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across }[event.key];
    if (!step) return;
    event.preventDefault();
    if (chosen < 0) chosen = 0;
    else if (patches[chosen + step]) chosen += step;
    tell();
  });
  const audio = box.querySelector("audio");
  if (audio && starts) {
    const from = starts.split(" ").map(Number), to = ends.split(" ").map(Number);
    const follow = () => {
      const now = audio.currentTime, heard = !audio.paused && !audio.ended;
      patches.forEach((one, i) => one.classList.toggle("now", heard && from[i] <= now && now < to[i]));
      if (heard) requestAnimationFrame(follow);
    };
    const play = () => {
      if (chosen < 0) return;
      audio.currentTime = from[chosen];
      audio.play();
    };
    audio.addEventListener("play", follow);
    svg.addEventListener("dblclick", play);
    svg.addEventListener("keydown", (event) => event.key === "Enter" && play());
  }
  slider.addEventListener("input", draw);
  box.classList.add("live");
  draw();
}
