// Nothing needs this script: it only opens and closes all tables of numbers at once.
"use strict";
const tables = document.querySelectorAll(".chart details");
const charts = document.querySelector(".charts");
if (tables.length > 1 && charts) {
  const button = document.createElement("button");
  const words = () => {
    const open = [...tables].every((table) => table.open);
    button.textContent = open ? "Hide all numbers" : "Show all numbers";
    return open;
  };
  button.type = "button";
  button.className = "all-numbers";
  button.addEventListener("click", () => {
    const open = !words();
    for (const table of tables) table.open = open;
  });
  for (const table of tables) table.addEventListener("toggle", words);
  words();
  charts.before(button);
}
