/* Says the browser's time zone to the site, which from then on tells times in it. The page on which it is first said,
   or on which another is, was made before: its times are told again here. */
(function () {
  "use strict";
  var own = Intl.DateTimeFormat().resolvedOptions().timeZone;

  function cookie(name) {
    var found = document.cookie.split("; ").filter(function (one) { return one.indexOf(name + "=") === 0; });
    return found.length ? found[0].slice(name.length + 1) : "";
  }
  if (!own || cookie("backupsite_timezone") === own) return;
  document.cookie = "backupsite_timezone=" + own + "; path=/; max-age=31536000; samesite=lax" +
    (location.protocol === "https:" ? "; secure" : "");
  if (cookie("backupsite_times") === "utc") return;

  function two(number) {
    return String(number).padStart(2, "0");
  }
  function offset(at) {
    var minutes = -at.getTimezoneOffset(), rest = Math.abs(minutes) % 60;
    if (!minutes) return "UTC";
    return "UTC" + (minutes > 0 ? "+" : "\u2212") + Math.floor(Math.abs(minutes) / 60) + (rest ? ":" + two(rest) : "");
  }
  function written(at, form) {
    var clock = two(at.getHours()) + ":" + two(at.getMinutes());
    if (form === "clock") return clock;
    if (form === "seconds") return clock + ":" + two(at.getSeconds());
    var day = at.getFullYear() + "-" + two(at.getMonth() + 1) + "-" + two(at.getDate());
    return day + " " + clock + (form === "zoned" ? " " + offset(at) : "");
  }
  document.addEventListener("DOMContentLoaded", function () {
    document.querySelectorAll("time[data-as]").forEach(function (time) {
      time.textContent = written(new Date(time.getAttribute("datetime")), time.dataset.as);
    });
    document.querySelectorAll("[data-zone]").forEach(function (place) {
      place.textContent = own;
    });
  });
})();
