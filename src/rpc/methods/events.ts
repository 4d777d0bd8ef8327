import type { Backend } from '../backend.ts';
import type { Methods } from '../dispatch.ts';
import { unknownMethod } from '../errors.ts';
import type { Filters } from '../filters.ts';
import type { RpcLimits } from '../limits.ts';
import { readLogFilter, readRange, searchLogs } from '../logs.ts';
import { readObject, readText } from '../params.ts';
import type { Subscriptions } from '../subscriptions.ts';

export function logMethods(backend: Backend, filters: Filters, limits: RpcLimits): Methods {
  const getLogs = ([value]: readonly unknown[]) => {
    readObject(value, 0);
    const filter = readLogFilter(value, 0, limits);
    return searchLogs(backend, filter, readRange(backend, value, 0), limits);
  };
  return [
    ['eth_getLogs', { paramsMax: 1, units: 50, run: getLogs }],
    ['eth_newFilter', { paramsMax: 1, units: 5, run: ([filter]) => filters.addLogs(filter) }],
    ['eth_newBlockFilter', { paramsMax: 0, run: () => filters.addBlocks() }],
    ['eth_newPendingTransactionFilter', { paramsMax: 1, run: () => filters.addPending() }],
    [
      'eth_getFilterChanges',
      { paramsMax: 1, units: 10, run: ([id]) => filters.changes(readText(id, 0)) },
    ],
    [
      'eth_getFilterLogs',
      { paramsMax: 1, units: 50, run: ([id]) => filters.logs(readText(id, 0)) },
    ],
    ['eth_uninstallFilter', { paramsMax: 1, run: ([id]) => filters.remove(readText(id, 0)) }],
  ];
}

/** On a WebSocket only: over HTTP they are as unknown as any other name. */
export function subscriptionMethods(subscriptions: Subscriptions): Methods {
  return [
    [
      'eth_subscribe',
      {
        paramsMax: 2,
        run: (params, session) => {
          if (session === null) throw unknownMethod('eth_subscribe');
          return subscriptions.add(params, session);
        },
      },
    ],
    [
      'eth_unsubscribe',
      {
        paramsMax: 1,
        run: ([id], session) => {
          if (session === null) throw unknownMethod('eth_unsubscribe');
          return subscriptions.remove(readText(id, 0), session);
        },
      },
    ],
  ];
}
