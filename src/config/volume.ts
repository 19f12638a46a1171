// Where the volume is, unless it is told. Apart from the other settings, as PID 1 needs it before it has read those.

/** Where Fly and most others mount the volume. */
export const DEFAULT_VOLUME = "/data";
