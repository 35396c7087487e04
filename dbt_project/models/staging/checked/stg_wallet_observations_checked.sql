{{ checked_rows(
    'wallet_observations',
    rules=[
        {
            'condition': 'mapped.period_end < mapped.period_start',
            'column': 'period_end',
            'reason': 'is before period_start',
        },
        {
            'condition': "mapped.source not in ('panel', 'survey')",
            'column': 'source',
            'reason': 'is none of panel, survey',
        },
        {
            'condition': 'mapped.rank <= 0',
            'column': 'rank',
            'reason': 'is not positive',
        },
    ],
) }}
