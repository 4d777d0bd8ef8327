/** A nominal type: `Brand<bigint, 'Height'>` is a bigint that only its own constructor makes. */
export type Brand<T, Name extends string> = T & { readonly __brand: Name };
