// Before anything is drawn, so that a page that was chosen dark does not flash light.
try {
  const theme = localStorage.getItem("troupe.appearance");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch { /* storage is blocked: as the system has it */ }
