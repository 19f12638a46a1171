// Numbers that must not be mixed.

declare const brand: unique symbol;

/** A `Base` that only its own parse function makes. */
export type Brand<Base, Name extends string> = Base & { readonly [brand]: Name };
