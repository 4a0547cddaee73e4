// Runs before the first paint, so that a dark dashboard does not flash white.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("turbine.theme");
  } catch {
    // Storage is closed to us (private window): the system's choice counts.
  }
  const dark = chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.classList.toggle("dark", dark);
})();
