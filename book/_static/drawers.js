/* The theme listens to the first menu button and the first contents button of a page, and hides
   both: a click on a visible one is passed on. */
document.addEventListener(
  "click",
  (event) => {
    const clicked = event.target.closest(".sidebar-toggle");
    if (!clicked) return;
    const kind = clicked.matches(".primary-toggle") ? ".primary-toggle" : ".secondary-toggle";
    const heard = document.querySelector(kind);
    if (clicked === heard) return;
    event.stopPropagation();
    heard.click();
  },
  true,
);

/* A drawer closes before the page goes to the place that was chosen in it. */
document.addEventListener("click", (event) => {
  const link = event.target.closest("dialog a[href^='#']");
  if (!link) return;
  const drawer = link.closest("dialog");
  event.preventDefault();
  drawer.addEventListener("close", () => link.click(), { once: true });
  drawer.close();
});
