"use strict";
// Without this script the page shows everything; with it, a part of it.
const form = document.querySelector("form");
const behaviours = [...document.querySelectorAll("article")];
const count = document.querySelector("#count");

function show() {
  const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
  const area = form.elements.area.value;
  const outcome = form.elements.outcome.value;
  let shown = 0;
  for (const behaviour of behaviours) {
    let any = false;
    for (const one of behaviour.querySelectorAll("details[data-outcome]")) {
      const text = (behaviour.dataset.text + " " + one.textContent).toLowerCase();
      const fits = (!area || behaviour.dataset.area === area) && (!outcome || one.dataset.outcome === outcome)
        && words.every((word) => text.includes(word));
      one.hidden = !fits;
      any = any || fits;
      shown += fits ? 1 : 0;
    }
    behaviour.hidden = !any;
  }
  for (const section of document.querySelectorAll("section")) {
    section.hidden = ![...section.querySelectorAll("article")].some((behaviour) => !behaviour.hidden);
  }
  count.textContent = shown + (shown === 1 ? " case is shown" : " cases are shown");
}

form.hidden = false;
form.addEventListener("input", show);
form.addEventListener("reset", () => setTimeout(show));
form.addEventListener("submit", (event) => event.preventDefault());
show();
