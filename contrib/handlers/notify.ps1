#!/usr/bin/env pwsh
# Post a line to a Teams channel: environment = { "TEAMS_URL=file:/etc/calloutd/handler-secrets/teams" }
# PowerShell compiles while it runs: the runner's unit needs MemoryDenyWriteExecute=no.
$ErrorActionPreference = 'Stop'
$callout = [Console]::In.ReadToEnd() | ConvertFrom-Json
$text = "{0} {1}: {2}" -f $env:CALLOUT_ENTITY, $callout.Id, $env:CALLOUT_ACTION
try {
    $body = @{ text = $text } | ConvertTo-Json -Compress
    Invoke-RestMethod -Method Post -Uri $env:TEAMS_URL -ContentType 'application/json' -Body $body | Out-Null
} catch {
    [Console]::Error.WriteLine($_.Exception.Message)
    exit 75
}
