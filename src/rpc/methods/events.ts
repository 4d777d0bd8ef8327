import type { Backend } from '../backend.ts';
import type { Method, Methods, Session } from '../dispatch.ts';
import { unknownMethod } from '../errors.ts';
import type { Filters } from '../filters.ts';
import type { RpcLimits } from '../limits.ts';
import { readLogFilter, readRange, searchLogs } from '../logs.ts';
import { type Params, readObject, readText } from '../params.ts';
import type { Streams } from '../streams.ts';
import type { Subscriptions } from '../subscriptions.ts';

export function logMethods(backend: Backend, filters: Filters, limits: RpcLimits): Methods {
  const getLogs = ([value]: readonly unknown[]) => {
    readObject(value, 0);
    const filter = readLogFilter(value, 0, limits);
    return searchLogs(backend, filter, readRange(backend, value, 0), limits);
  };
  return [
    ['eth_getLogs', { paramsMax: 1, units: 50, run: getLogs }],
    [
      'eth_newFilter',
      { paramsMax: 1, units: 5, run: ([filter], _, caller) => filters.addLogs(filter, caller) },
    ],
    ['eth_newBlockFilter', { paramsMax: 0, run: (_, __, caller) => filters.addBlocks(caller) }],
    [
      'eth_newPendingTransactionFilter',
      { paramsMax: 1, run: (_, __, caller) => filters.addPending(caller) },
    ],
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
export function subscriptionMethods(subscriptions: Subscriptions, streams: Streams): Methods {
  const remove = ([id]: Params, session: Session) => {
    const name = readText(id, 0);
    return streams.remove(name, session) || subscriptions.remove(name, session);
  };
  return [
    overSocket('eth_subscribe', 2, (params, session) => subscriptions.add(params, session)),
    overSocket('eth_unsubscribe', 1, remove),
    overSocket('mpbp_subscribe', 3, (params, session) => streams.add(params, session)),
    overSocket('mpbp_unsubscribe', 1, remove),
  ];
}

function overSocket(
  name: string,
  paramsMax: number,
  act: (params: Params, session: Session) => unknown,
): readonly [string, Method] {
  const run: Method['run'] = (params, session) => {
    if (session === null) throw unknownMethod(name);
    return act(params, session);
  };
  return [name, { paramsMax, run }];
}
