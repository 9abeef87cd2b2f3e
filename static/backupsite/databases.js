/* The form of a Database: a pasted connection string is spread over the fields, destinations are put in order. */
(function () {
  "use strict";

  // The answer says of a secret only where it stands in what was pasted; it goes from box to box in the browser.
  function plain(text, span) {
    var part = Array.from(text).slice(span[0], span[1]).join("");
    if (!span[2]) return part;
    try { return decodeURIComponent(part); } catch (error) { return part; }
  }

  function put(form, name, value) {
    var field = form.querySelector('[name="' + name + '"]');
    if (!field) return false;
    if (field.type === "checkbox") { field.checked = value === true; } else { field.value = value; }
    var fold = field.closest("details");
    if (fold && value !== "" && value !== false) fold.open = true;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.dispatchEvent(new Event("change", { bubbles: true }));
    return true;
  }

  function read(place, box) {
    var form = box.form, text = box.value, said = place.querySelector("[data-said]");
    if (!text.trim()) return;
    var body = new FormData();
    body.append("connection_string", text);
    body.append("engine", place.dataset.engine);
    body.append("csrfmiddlewaretoken", form.querySelector("[name=csrfmiddlewaretoken]").value);
    fetch(place.dataset.paste, { method: "POST", body: body, credentials: "same-origin" })
      .then(function (answer) { return answer.json(); })
      .then(function (answer) {
        if (box.value !== text) return;
        said.textContent = answer.fault || answer.said;
        said.classList.toggle("bks-error", Boolean(answer.fault));
        if (answer.fault) return;
        Object.keys(answer.fields).forEach(function (name) { put(form, name, answer.fields[name]); });
        Object.keys(answer.secrets).forEach(function (name) { put(form, name, plain(text, answer.secrets[name])); });
        box.value = "";
      });
  }

  var waits = null;
  document.addEventListener("input", function (event) {
    var place = event.target.closest("[data-paste]");
    if (!place) return;
    clearTimeout(waits);
    waits = setTimeout(function () { read(place, event.target); }, 350);
  });

  function clear(row) {
    row.querySelectorAll("select, input").forEach(function (field) { field.value = ""; });
  }

  // The last row is always free: who fills it gets another one.
  function keepOneFree(list) {
    var rows = list.querySelectorAll(".bks-dest"), last = rows[rows.length - 1];
    if (last.querySelector("select").value) {
      var fresh = last.cloneNode(true);
      clear(fresh);
      fresh.querySelector("option").textContent = list.dataset.none;
      list.append(fresh);
    }
    list.querySelectorAll(".bks-dest").forEach(function (row) {
      row.querySelector("[data-scripted]").hidden = !row.querySelector("select").value;
    });
  }

  document.addEventListener("change", function (event) {
    var list = event.target.closest("[data-places]");
    if (list) keepOneFree(list);
  });

  document.addEventListener("click", function (event) {
    var button = event.target.closest("[data-move]");
    if (!button) return;
    var row = button.closest(".bks-dest"), list = row.parentElement, move = button.dataset.move;
    if (move === "out") {
      var next = row.nextElementSibling;
      row.remove();
      if (next) next.querySelector("select").focus();
    } else {
      var other = move === "up" ? row.previousElementSibling : row.nextElementSibling;
      if (!other || !other.querySelector("select").value) return;
      other[move === "up" ? "before" : "after"](row);
      button.focus();
    }
    keepOneFree(list);
  });

  document.addEventListener("DOMContentLoaded", function () {
    document.querySelectorAll("[data-places]").forEach(keepOneFree);
  });
})();
