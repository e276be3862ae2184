"use strict";
// Without this script the page shows everything; with it, a part of it.
const form = document.querySelector("form");
const tests = [...document.querySelectorAll("article")];
const count = document.querySelector("#count");

function fitsResult(parameter, result) {
  return !result || parameter.dataset.result === result || (result === "unsteady" && "unsteady" in parameter.dataset);
}

function show() {
  const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
  const area = form.elements.area.value;
  const result = form.elements.result.value;
  let shown = 0;
  for (const test of tests) {
    let any = false;
    for (const parameter of test.querySelectorAll("details[data-result]")) {
      const text = (test.dataset.text + " " + parameter.textContent).toLowerCase();
      const fits = (!area || test.dataset.area === area) && fitsResult(parameter, result)
        && words.every((word) => text.includes(word));
      parameter.hidden = !fits;
      any = any || fits;
      shown += fits ? 1 : 0;
    }
    test.hidden = !any;
  }
  for (const section of document.querySelectorAll("section")) {
    section.hidden = ![...section.querySelectorAll("article")].some((test) => !test.hidden);
  }
  count.textContent = shown + (shown === 1 ? " parameter shown" : " parameters shown");
}

form.hidden = false;
form.addEventListener("input", show);
form.addEventListener("reset", () => setTimeout(show));
form.addEventListener("submit", (event) => event.preventDefault());
show();
