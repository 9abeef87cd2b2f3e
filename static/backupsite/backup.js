/* Pages of runs: a log that follows, and commands that are copied. Every page works without this. */
(function () {
  "use strict";

  var SLACK = 24; // pixels from its end within which a log still follows

  function log() { return document.querySelector("[data-follow]"); }
  function atEnd(box) { return box.scrollTop + box.clientHeight >= box.scrollHeight - SLACK; }
  function toEnd(box) { box.scrollTop = box.scrollHeight; }
  function showWay(box) {
    var button = document.querySelector("[data-log-end]");
    if (button) button.hidden = atEnd(box);
  }

  // Where the reader was before new lines came or the page was swapped; null at the end, which is followed.
  var held = null;
  function remember() {
    var box = log();
    held = box && !atEnd(box) ? box.scrollTop : null;
  }
  function goOn() {
    var box = log();
    if (!box) return;
    if (held === null) { toEnd(box); } else { box.scrollTop = held; }
    showWay(box);
  }
  // What turns goes on from where it was when its part of the page is put in anew.
  function steady() {
    document.querySelectorAll("#job-live .bks-step-now > .material-symbols-outlined, #job-live .bks-bar-unknown span").forEach(function (part) {
      var period = part.matches(".bks-bar-unknown span") ? 3200 : 1400; // admin.css: bks-slide both ways, bks-turn
      part.style.animationDelay = -Math.round(performance.now() % period) + "ms";
    });
  }
  document.addEventListener("htmx:afterSwap", steady);

  document.addEventListener("htmx:beforeSwap", remember);
  document.addEventListener("htmx:oobBeforeSwap", remember);
  document.addEventListener("htmx:afterSettle", goOn);
  document.addEventListener("htmx:oobAfterSwap", goOn);
  document.addEventListener("scroll", function (event) {
    if (event.target.matches && event.target.matches("[data-follow]")) showWay(event.target);
  }, true);

  function copy(button) {
    var source = button.parentElement.querySelector("pre");
    if (navigator.clipboard) {
      navigator.clipboard.writeText(source.textContent.trim());
    } else { // not over plain HTTP: then it is selected, and copied where the browser still allows that
      var range = document.createRange(), chosen = window.getSelection();
      range.selectNodeContents(source);
      chosen.removeAllRanges();
      chosen.addRange(range);
      document.execCommand("copy");
    }
    var idle = button.dataset.idle || (button.dataset.idle = button.textContent);
    button.textContent = button.dataset.done || "Copied";
    setTimeout(function () { button.textContent = idle; }, 2000);
  }

  document.addEventListener("click", function (event) {
    var way = event.target.closest("[data-log-end]");
    if (way && log()) { toEnd(log()); way.hidden = true; log().focus(); }
    var button = event.target.closest("[data-copy]");
    if (button) copy(button);
    document.querySelectorAll("[data-all]").forEach(function (all) {
      if (event.target !== all) return;
      document.querySelectorAll("[name='" + all.dataset.all + "']").forEach(function (box) {
        if (!box.closest("[hidden]")) box.checked = all.checked;
      });
    });
  });

  // A long list of names is narrowed while something is typed. A form field of its own row stays as it was.
  document.addEventListener("input", function (event) {
    var field = event.target.closest("[data-narrow]");
    if (!field) return;
    var wanted = field.value.trim().toLowerCase(), shown = 0;
    document.querySelectorAll("#" + field.dataset.narrow + " [data-name]").forEach(function (row) {
      row.hidden = row.dataset.name.toLowerCase().indexOf(wanted) < 0;
      if (!row.hidden) shown += 1;
    });
    var none = document.querySelector("#" + field.dataset.narrow + " [data-none]");
    if (none) none.hidden = shown > 0;
  });

  document.addEventListener("DOMContentLoaded", function () {
    document.querySelectorAll("[data-follow]").forEach(toEnd);
    steady();
  });
})();
