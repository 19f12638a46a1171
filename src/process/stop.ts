// Commands end at SIGINT and SIGTERM, with what the shell expects of one that did.

/** Ends what is under way at SIGINT and SIGTERM; `status` is what we then end with. */
export function stopOnSignals(): { readonly signal: AbortSignal; readonly status: number } {
  const stop = new AbortController();
  let status = 0;
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, (_signal: NodeJS.Signals, number: number) => {
      status = 128 + number;
      stop.abort(new Error(`stopped by ${name}`));
    });
  }
  return {
    signal: stop.signal,
    get status() {
      return status;
    },
  };
}
