// Names for those who hear a page, where the theme gives none or another than the one to be seen.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  for (const summary of document.querySelectorAll("nav summary")) {
    const chapter = summary.closest("li").querySelector("a").textContent;
    summary.setAttribute("aria-label", `Pages of ${chapter}`);
  }
  for (const own of document.querySelectorAll(".search-button-field, article summary[aria-label]"))
    own.removeAttribute("aria-label");
  for (const button of document.querySelectorAll(".theme-switch-button")) // its pictures have titles
    button.setAttribute("aria-label", "Color mode: Light, Dark, System Settings");
});
