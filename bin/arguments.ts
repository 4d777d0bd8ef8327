import { InvalidArgumentError } from 'commander';

/** A whole number in decimal digits; `12abc` and `1e3` are not. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^(0|[1-9]\d{0,15})$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It should be a whole number from ${min} to ${max}.`);
  };
}
