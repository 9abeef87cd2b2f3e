/* Small conveniences; every page works without them. */
(function () {
  "use strict";

  function span(seconds) {
    if (seconds < 60) return seconds + " s";
    var minutes = Math.floor(seconds / 60), rest = String(seconds % 60).padStart(2, "0");
    if (minutes < 60) return minutes + " min " + rest + " s";
    return Math.floor(minutes / 60) + " h " + String(minutes % 60).padStart(2, "0") + " min";
  }
  setInterval(function () {
    document.querySelectorAll("[data-since]").forEach(function (place) {
      place.textContent = span(Math.max(0, Math.round(Date.now() / 1000 - Number(place.dataset.since))));
    });
  }, 1000);

  document.addEventListener("click", function (event) {
    document.querySelectorAll("details.bks-more[open]").forEach(function (menu) {
      if (!menu.contains(event.target)) menu.open = false;
    });
  });

  // The theme's search knows the chosen result by the mouse alone: without this a key on one breaks its script.
  document.addEventListener("focusin", function (event) {
    var row = event.target.closest("#command-results-list li");
    if (row) row.dispatchEvent(new Event("mouseenter"));
  });

  // Fields that only matter for one choice of another field: hidden, never disabled, so that nothing typed is lost.
  var depends = { times: ["schedule", "own"], encryption_recipients: ["encryption", "age"], kms_key_id: ["server_side_encryption", "aws:kms"] };
  function showDependents() {
    Object.keys(depends).forEach(function (name) {
      var row = document.querySelector('[data-field="' + name + '"]');
      var chooser = document.querySelector('.bks-form [name="' + depends[name][0] + '"]');
      if (row && chooser) row.hidden = chooser.value !== depends[name][1] && !row.classList.contains("errors");
    });
  }
  document.addEventListener("change", showDependents);
  document.addEventListener("DOMContentLoaded", function () {
    showDependents();
    var search = document.getElementById("search-input-command"); // unfold gives it no name
    if (search) search.setAttribute("aria-label", search.placeholder);
  });
})();
