import { createRequire } from 'node:module';
import { type Logger, pino, stdTimeFunctions } from 'pino';
import type { Metric } from '#consensus/core/types.ts';
import type { Log, LogFields } from '#src/lib/log.ts';
import { logLines, nullified } from '#src/lib/measures.ts';
import type { Config } from './config.ts';

/**
 * Structured JSON; text where a person reads it on a terminal. Standard error, so that `--json`
 * stays clean.
 */
export function makeLog(config: Pick<Config, 'log.level' | 'log.format'>): Log {
  const format = config['log.format'];
  const asText = format === 'text' || (format === 'auto' && process.stderr.isTTY);
  const options = { level: config['log.level'], base: null, timestamp: stdTimeFunctions.isoTime };
  return wrap(asText ? pino(options, prettyStream()) : pino(options, pino.destination(2)));
}

function wrap(logger: Logger): Log {
  const write =
    (level: 'error' | 'warn' | 'info' | 'debug') => (event: string, fields?: LogFields) => {
      logger[level](printableFields(fields), event);
      if (logLines.isWatched) logLines.tell({ level });
    };
  return {
    error: write('error'),
    warn: write('warn'),
    info: write('info'),
    debug: write('debug'),
    child: (name) => wrap(logger.child({ part: name })),
  };
}

function printableFields(fields: LogFields = {}): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields)) {
    out[key] = typeof value === 'bigint' ? value.toString() : value;
  }
  return out;
}

function prettyStream(): NodeJS.WritableStream {
  // CommonJS without types of its own that the checker reads.
  const pretty = createRequire(import.meta.url)('pino-pretty') as (
    options: object,
  ) => NodeJS.WritableStream;
  return pretty({
    destination: 2,
    sync: true,
    ignore: 'pid,hostname',
    translateTime: 'SYS:HH:MM:ss.l',
  });
}

/** Why a view was lost and who led it: what an operator asks first when a network is slow. */
export function logMetric(log: Log): (metric: Metric) => void {
  return (metric) => {
    switch (metric.t) {
      case 'equivocation':
        return log.debug('contradicting votes', {
          view: metric.view,
          validator: metric.signer,
        });
      case 'nullify':
        nullified.tell({ why: metric.why, leader: metric.leader });
        return log.info('view given up', {
          view: metric.view,
          leader: metric.leader,
          why: metric.why,
        });
      case 'standstill':
        return log.debug('standstill', { view: metric.view });
      case 'view':
        return log.debug('view', { view: metric.view });
    }
  };
}
