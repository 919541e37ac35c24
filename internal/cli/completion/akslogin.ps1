# Completion of akslogin for PowerShell.

Register-ArgumentCompleter -Native -CommandName akslogin, akslogin.exe -ScriptBlock {
    param($word, $ast, $position)
    $words = @($ast.CommandElements | Where-Object { $_.Extent.EndOffset -lt $position } | ForEach-Object {
            if ($_ -is [System.Management.Automation.Language.StringConstantExpressionAst]) { $_.Value } else { $_.Extent.Text }
        })
    $program = $words[0]
    $arguments = @($words | Select-Object -Skip 1)
    # Windows PowerShell drops an empty argument.
    $current = if ($word) { $word } else { '""' }
    $attached = if ($word -match '^--[^=]*=') { $Matches[0] } else { '' }
    foreach ($line in @(& $program __complete @arguments $current 2>$null)) {
        if ($line -match '^:') { continue }
        $text, $about = $line -split "`t", 2
        $insert = $attached + $text
        if ($text -match '[\s''"$`;&|(){}<>@#,]') { $insert = $attached + "'" + $text.Replace("'", "''") + "'" }
        if (-not $about) { $about = $text }
        [System.Management.Automation.CompletionResult]::new($insert, $text, 'ParameterValue', $about)
    }
}
