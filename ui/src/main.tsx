import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { Tooltip } from "radix-ui";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { basePath } from "./api/base-path";
import { queryClient } from "./api/session";
import { Toasts } from "./components/toast";
import { router } from "./router";
import "./styles.css";

// A chunk that fails to load usually belongs to an older build than the server's: reload once. Not again, so that a
// chunk that is broken for another reason does not reload forever.
window.addEventListener("vite:preloadError", () => {
  const key = "turbine.loaded-anew";
  if (Date.now() - Number(sessionStorage.getItem(key) ?? 0) < 60_000) return;
  void fetch(`${basePath}/`, { method: "HEAD" }).then((answer) => {
    if (!answer.ok) return;
    sessionStorage.setItem(key, String(Date.now()));
    window.location.reload();
  }, () => undefined);
});

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <QueryClientProvider client={queryClient}>
      <Tooltip.Provider delayDuration={350} skipDelayDuration={200}>
        <RouterProvider router={router} />
        <Toasts />
      </Tooltip.Provider>
    </QueryClientProvider>
  </StrictMode>,
);
