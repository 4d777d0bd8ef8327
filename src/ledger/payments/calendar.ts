/**
 * Periods as people know them (payments.md 2.1, rule 11): days, weeks from Monday, months and years,
 * all in UTC. Dates are those of the Gregorian calendar, counted in days since 1970-01-01; years
 * begin in March where that makes the leap day the last one.
 */
export const PERIOD = { second: 0n, day: 1n, week: 2n, month: 3n, year: 4n } as const;

const DAY = 86_400n;
const DAYS_OF_WEEK = 7n;
/** 1970-01-01 was a Thursday. */
const DAYS_SINCE_MONDAY = 3n;
/** From 0000-03-01 to 1970-01-01. */
const DAYS_BEFORE = 719_468n;
const DAYS_OF_ERA = 146_097n;
const YEARS_OF_ERA = 400n;

export type Period = {
  /** Unix seconds: its first, and the first that is not in it any more. */
  readonly start: bigint;
  readonly end: bigint;
};

/** The period of this unit that a second is in. */
export function periodAt(unit: bigint, second: bigint): Period {
  if (unit === PERIOD.second) return { start: second, end: second + 1n };
  const day = second / DAY;
  const [first, next] = daysOf(unit, day);
  return { start: first * DAY, end: next * DAY };
}

function daysOf(unit: bigint, day: bigint): readonly [first: bigint, next: bigint] {
  if (unit === PERIOD.day) return [day, day + 1n];
  if (unit === PERIOD.week) {
    const next = day - ((day + DAYS_SINCE_MONDAY) % DAYS_OF_WEEK) + DAYS_OF_WEEK;
    // The first week began before time did.
    return [next > DAYS_OF_WEEK ? next - DAYS_OF_WEEK : 0n, next];
  }
  const { year, month } = monthOf(day);
  if (unit === PERIOD.year) return [firstDay(year, 1n), firstDay(year + 1n, 1n)];
  const isLast = month === 12n;
  return [firstDay(year, month), isLast ? firstDay(year + 1n, 1n) : firstDay(year, month + 1n)];
}

function monthOf(day: bigint): { year: bigint; month: bigint } {
  const days = day + DAYS_BEFORE;
  const ofEra = days % DAYS_OF_ERA;
  const yearOfEra = (ofEra - ofEra / 1_460n + ofEra / 36_524n - ofEra / 146_096n) / 365n;
  const ofYear = ofEra - daysBeforeYear(yearOfEra);
  const fromMarch = (5n * ofYear + 2n) / 153n;
  const year = yearOfEra + (days / DAYS_OF_ERA) * YEARS_OF_ERA;
  return fromMarch < 10n
    ? { year, month: fromMarch + 3n }
    : { year: year + 1n, month: fromMarch - 9n };
}

function firstDay(year: bigint, month: bigint): bigint {
  const [marchYear, fromMarch] = month > 2n ? [year, month - 3n] : [year - 1n, month + 9n];
  const ofYear = (153n * fromMarch + 2n) / 5n;
  const eras = (marchYear / YEARS_OF_ERA) * DAYS_OF_ERA;
  return eras + daysBeforeYear(marchYear % YEARS_OF_ERA) + ofYear - DAYS_BEFORE;
}

/** Inside of 400 years. */
function daysBeforeYear(year: bigint): bigint {
  return 365n * year + year / 4n - year / 100n;
}
