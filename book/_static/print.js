/* Before a page is printed its folded parts open and its colours turn light; afterwards all is as
   it was. */
(() => {
  let folded = [];
  let theme = "";

  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("article details:not([open])")];
    for (const part of folded) part.open = true;
    for (const picture of document.images) picture.loading = "eager";
    theme = document.documentElement.dataset.theme;
    document.documentElement.dataset.theme = "light";
  });

  addEventListener("afterprint", () => {
    for (const part of folded) part.open = false;
    document.documentElement.dataset.theme = theme;
  });
})();
