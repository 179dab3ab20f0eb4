# ruff: noqa: E501 - a table, one entry a line
"""Headings and fixed words of a report in the language of its request.

Findings stay in the words of the tools: each is bound to an artifact, and only those words are
checked.
"""

import re
from collections.abc import Callable
from typing import Literal

Language = Literal["english", "korean", "chinese"]
CODES: dict[Language, str] = {"english": "en", "korean": "ko", "chinese": "zh"}

_TABLE = """
In short | 요약 | 摘要
What was asked, and what became of it | 요청과 그 결과 | 请求及其结果
asked | 요청 | 请求
outcome | 결과 | 结果
steps | 단계 | 步骤
why not, and what instead | 안 된 이유와 대안 | 未完成的原因及替代方案
done | 완료 | 完成
not done | 미완료 | 未完成
refused | 거절 | 拒绝
failed | 실패 | 失败
skipped | 건너뜀 | 跳过
Assumed | 가정 | 假定
Instead | 대안 | 替代方案
The data | 데이터 | 数据
found | 내용 | 内容
evidence | 근거 | 依据
What was done | 수행한 분석 | 所做的分析
step | 단계 | 步骤
what | 내용 | 内容
tool and arguments | 도구와 인자 | 工具与参数
why | 이유 | 原因
asked by | 요청한 부분 | 对应请求
seconds | 초 | 秒
time | 시간 | 时间
inserted | 추가된 단계 | 自动加入
With care | 주의 | 注意
To keep in mind | 유의할 점 | 需要注意
About this file | 이 파일에 관하여 | 关于此文件
Evidence | 근거 | 依据
references | 참고문헌 | 参考文献
References | 참고문헌 | 参考文献
To reproduce this | 재현 방법 | 如何重现
Findings are given in the tools' own English words, the only ones that are checked. \
| 결과 문장은 검증되는 도구의 영어 문장 그대로 싣습니다. | 结论保留工具给出的英文原句，只有这些语句经过核对。
Only the leading findings are shown; the level 'full' has all. \
| 주요 결과만 실었습니다. 전체는 'full' 수준에 있습니다. | 此处仅列主要结论，完整内容见 'full' 级别。
"""
_WORDS = {
    english.strip(): {"korean": korean.strip(), "chinese": chinese.strip()}
    for english, korean, chinese in (
        line.split(" | ") for line in _TABLE.replace("\\\n", "").strip().splitlines()
    )
}


def language_of(request: str) -> Language:
    """The language in which a request is written."""
    if re.search(r"[가-힣]", request):
        return "korean"
    return "chinese" if re.search(r"[㐀-鿿]", request) else "english"


def saying(language: Language) -> Callable[[str], str]:
    """How fixed words are said in a language; what has no translation stays English."""
    if language == "english":
        return str
    return lambda text: _WORDS.get(text, {}).get(language, text)
