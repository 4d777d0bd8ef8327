/**
 * Work that is mostly done at once and sometimes has to wait. Written as a generator that yields
 * what it waits for, it stays synchronous, and costs no turn of any queue, where it never does.
 */

/** A value, or a promise of it where something had to be waited for. */
export type Soon<T> = T | Promise<T>;
export type Steps<T> = Generator<Promise<unknown>, T, unknown>;

/** Walks to the end: at once, or from the first wait on behind a promise. */
export function walk<T>(steps: Steps<T>): Soon<T> {
  const first = steps.next();
  return first.done === true ? first.value : walkOn(steps, first.value);
}

/** One wait, inside of steps: `const value = yield* wait(soon)`. */
export function* wait<T>(soon: Soon<T>): Steps<T> {
  return soon instanceof Promise ? ((yield soon) as T) : soon;
}

/** Goes on with the value: at once where it is there. */
export function then<T, U>(soon: Soon<T>, next: (value: T) => U): Soon<U> {
  return soon instanceof Promise ? soon.then(next) : next(soon);
}

/** What needed no waiting, for callers who know that it does not. */
export function atOnce<T>(soon: Soon<T>): T {
  if (soon instanceof Promise) throw new Error('this was to be done at once, and has to wait');
  return soon;
}

async function walkOn<T>(steps: Steps<T>, first: Promise<unknown>): Promise<T> {
  let awaited = first;
  for (;;) {
    const value = await awaited.then(
      (got) => ({ got }),
      (error: unknown) => ({ error }),
    );
    const next = 'got' in value ? steps.next(value.got) : steps.throw(value.error);
    if (next.done === true) return next.value;
    awaited = next.value;
  }
}
