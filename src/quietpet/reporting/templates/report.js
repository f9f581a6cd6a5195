"use strict";
(() => {
  const said = document.getElementById("said");

  function compare(one, other) {
    if (one === "" || other === "") return (one === "") - (other === "");
    const numbers = [Number(one), Number(other)];
    if (numbers.some(Number.isNaN)) return one.localeCompare(other, "en", { numeric: true });
    return numbers[0] - numbers[1];
  }

  function sortBy(table, column, header) {
    const rising = header.getAttribute("aria-sort") !== "ascending";
    for (const each of header.parentElement.children) each.setAttribute("aria-sort", "none");
    header.setAttribute("aria-sort", rising ? "ascending" : "descending");
    const body = table.tBodies[0];
    const value = (row) => row.children[column].dataset.sort;
    const rows = [...body.rows].sort((one, other) => {
      const empty = (value(one) === "") - (value(other) === "");
      return empty || (rising ? 1 : -1) * compare(value(one), value(other));
    });
    body.append(...rows);
    said.textContent = `Sorted by ${header.textContent}, ${rising ? "rising" : "falling"}.`;
  }

  for (const table of document.querySelectorAll("table")) {
    if (table.tBodies[0].rows.length < 2) continue;
    [...table.tHead.rows[0].children].forEach((header, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      header.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => sortBy(table, column, header));
    });
  }

  function letKeysScroll() {
    for (const box of document.querySelectorAll(".scroll")) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  }

  addEventListener("load", letKeysScroll);
  addEventListener("resize", letKeysScroll);
  document.addEventListener("toggle", letKeysScroll, true);

  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details")) details.open = true;
  });

  for (const group of document.querySelectorAll(".variants")) {
    const variants = [...group.querySelectorAll(".variant")];
    const bar = document.createElement("div");
    bar.className = "switch";
    bar.setAttribute("role", "group");
    bar.setAttribute("aria-label", `Show of ${group.dataset.label}`);
    bar.append("Show:");
    const buttons = variants.map((variant) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = variant.dataset.variant;
      button.addEventListener("click", () => choose(variant));
      return button;
    });
    bar.append(...buttons);
    group.prepend(bar);
    function choose(chosen) {
      variants.forEach((variant, place) => {
        variant.hidden = variant !== chosen;
        buttons[place].setAttribute("aria-pressed", String(variant === chosen));
      });
      letKeysScroll();
    }
    choose(variants[0]);
  }
})();
