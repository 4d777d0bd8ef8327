import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PERIOD, periodAt } from '#src/ledger/payments/calendar.ts';
import { SeededRandom } from '#src/lib/random.ts';

const secondsOf = (text: string) => BigInt(Date.parse(text) / 1_000);
const dateOf = (seconds: bigint) => new Date(Number(seconds) * 1_000).toISOString().slice(0, 19);

describe('periods of the calendar', () => {
  it('begin and end where people expect it', () => {
    const rows: [unit: bigint, at: string, start: string, end: string][] = [
      [PERIOD.second, '2026-11-21T20:02:41Z', '2026-11-21T20:02:41', '2026-11-21T20:02:42'],
      [PERIOD.day, '2026-11-21T23:59:59Z', '2026-11-21T00:00:00', '2026-11-22T00:00:00'],
      [PERIOD.week, '2026-11-22T23:59:59Z', '2026-11-16T00:00:00', '2026-11-23T00:00:00'],
      [PERIOD.week, '2026-11-23T00:00:00Z', '2026-11-23T00:00:00', '2026-11-30T00:00:00'],
      [PERIOD.month, '2028-02-29T12:00:00Z', '2028-02-01T00:00:00', '2028-03-01T00:00:00'],
      [PERIOD.month, '2100-02-28T23:59:59Z', '2100-02-01T00:00:00', '2100-03-01T00:00:00'],
      [PERIOD.month, '2026-12-31T23:59:59Z', '2026-12-01T00:00:00', '2027-01-01T00:00:00'],
      [PERIOD.year, '2028-12-31T23:59:59Z', '2028-01-01T00:00:00', '2029-01-01T00:00:00'],
    ];
    for (const [unit, at, start, end] of rows) {
      const period = periodAt(unit, secondsOf(at));
      assert.deepEqual([dateOf(period.start), dateOf(period.end)], [start, end], at);
    }
  });

  it("are those of the runtime's own dates, over a thousand years", () => {
    const random = new SeededRandom(1_582);
    for (let n = 0; n < 50_000; n++) {
      const at = n < 20 ? n * 43_200 : random.below(2 ** 31) * 15 + random.below(15);
      const date = new Date(at * 1_000);
      const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()];
      const monday = day - ((date.getUTCDay() + 6) % 7);
      const want: [bigint, number, number][] = [
        [PERIOD.day, Date.UTC(year, month, day), Date.UTC(year, month, day + 1)],
        [PERIOD.week, Date.UTC(year, month, monday), Date.UTC(year, month, monday + 7)],
        [PERIOD.month, Date.UTC(year, month, 1), Date.UTC(year, month + 1, 1)],
        [PERIOD.year, Date.UTC(year, 0, 1), Date.UTC(year + 1, 0, 1)],
      ];
      for (const [unit, start, end] of want) {
        const period = periodAt(unit, BigInt(at));
        const told = [Number(period.start) * 1_000, Number(period.end) * 1_000];
        // The first week began in 1969.
        assert.deepEqual(told, [Math.max(0, start), end], `${unit} ${date.toISOString()}`);
      }
    }
  });
});
