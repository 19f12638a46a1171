// Which signals there are for a supervisor, and what each is to us. Values only.

/**
 * All that a process can be sent and catch, apart from three kinds. Those of its own faults (SEGV, BUS, FPE, ILL):
 * a handler in JavaScript would return into the fault. SIGCHLD, which tells of our own children. SIGPIPE, which
 * comes of our own writing to a log that nobody reads, and would end the app.
 */
export const PASSED_ON = [
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGTRAP",
  "SIGABRT",
  "SIGUSR1",
  "SIGUSR2",
  "SIGALRM",
  "SIGTERM",
  "SIGSTKFLT",
  "SIGCONT",
  "SIGTSTP",
  "SIGTTIN",
  "SIGTTOU",
  "SIGURG",
  "SIGXCPU",
  "SIGXFSZ",
  "SIGVTALRM",
  "SIGPROF",
  "SIGWINCH",
  "SIGIO",
  "SIGPWR",
  "SIGSYS",
] as const satisfies readonly NodeJS.Signals[];

/** Those that ask us to end; all others are only passed on. */
export const STOP_SIGNALS: ReadonlySet<string> = new Set(["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"]);

/** Those by which a terminal stops a job: the app's group stops, and so do we. */
export const SUSPEND_SIGNALS: ReadonlySet<string> = new Set(["SIGTSTP", "SIGTTIN", "SIGTTOU"]);

/** Those that a terminal sends to its whole foreground group by itself. */
export const FROM_TERMINAL: ReadonlySet<string> = new Set(["SIGINT", "SIGQUIT", "SIGWINCH", "SIGTSTP"]);
