{{ checked_rows(
    'identity_map',
    rules=[
        {
            'condition': 'mapped.valid_to <= mapped.valid_from',
            'column': 'valid_to',
            'reason': 'is not after valid_from',
        },
    ],
) }}
