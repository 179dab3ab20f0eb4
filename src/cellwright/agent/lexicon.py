# ruff: noqa: E501 - a table, one entry a line
"""Korean and Chinese terms of the trade, and the English that the planner reads for them.

The embedded planner's base model has hardly seen Korean or Chinese, and spells both byte by byte.
A request in either is therefore glossed first: the longest known term wins, endings and particles
fall away, and what is not known stays as it was.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources

from cellwright.knowledge.cell_names import TRADITIONAL

_TERMS = """
annotate | 세포 유형을 주석, 세포타입을 주석, 주석을 달, 주석, 어노테이션, 애노테이션, 라벨을 붙 | 注释, 標註, 标注, 注釋, 鉴定, 鑑定
identify | 식별, 동정, 판별 | 识别, 辨认, 辨識
cell type | 세포 유형, 세포유형, 세포 타입, 세포타입, 세포 종류, 세포의 종류 | 细胞类型, 細胞類型, 细胞种类, 細胞種類
what cells are in here | 어떤 세포가 있, 어떤 세포들이 있, 무슨 세포가 있 | 有哪些细胞, 有什么细胞, 有哪些細胞, 都有什么细胞
what cell is it | 어떤 세포, 무슨 세포 | 什么细胞, 哪种细胞, 哪類細胞, 什麼細胞
which cells | 어느 세포 | 哪些细胞, 哪些細胞
cell line | 세포주, 세포 주 | 细胞系, 細胞系, 细胞株
T cell | T세포, T 세포, 티세포 | T细胞, T細胞, T 细胞
B cell | B세포, B 세포, 비세포 | B细胞, B細胞, B 细胞
NK cell | NK세포, NK 세포, 자연살해세포, 자연 살해 세포 | NK细胞, NK細胞, 自然杀伤细胞, NK 细胞
alpha cell | 알파세포, 알파 세포 | α细胞, α細胞, 阿尔法细胞
beta cell | 베타세포, 베타 세포 | β细胞, β細胞, 贝塔细胞
delta cell | 델타세포, 델타 세포 | δ细胞, δ細胞
ductal cell | 관세포, 도관세포, 도관 세포 | 导管细胞, 導管細胞
monocyte | 단핵구, 단핵세포 | 单核细胞, 單核細胞
macrophage | 대식세포, 대식 세포 | 巨噬细胞, 巨噬細胞
dendritic cell | 수지상세포, 수지상 세포 | 树突状细胞, 树突细胞, 樹突狀細胞
neutrophil | 호중구 | 中性粒细胞, 嗜中性粒细胞
mast cell | 비만세포 | 肥大细胞
plasma cell | 형질세포 | 浆细胞
fibroblast | 섬유아세포 | 成纤维细胞, 纤维母细胞
endothelial cell | 내피세포, 내피 세포 | 内皮细胞, 內皮細胞
epithelial cell | 상피세포, 상피 세포 | 上皮细胞, 上皮細胞
hepatocyte | 간세포 | 肝细胞
neuron | 신경세포, 뉴런 | 神经元, 神經元
microglia | 미세아교세포 | 小胶质细胞
astrocyte | 별아교세포, 성상세포 | 星形胶质细胞
enterocyte | 장세포 | 肠上皮细胞, 肠细胞
goblet cell | 배상세포, 술잔세포 | 杯状细胞
stem cell | 줄기세포 | 干细胞, 幹細胞
cell | 세포들, 세포 | 细胞, 細胞
cluster | 클러스터별, 클러스터, 군집별, 군집 | 聚类, 簇, 群集, 亚群
clustering | 클러스터링, 군집화 | 聚类分析
draw | 그려, 그리, 보여, 플롯, 표시 | 画出, 画, 畫出, 畫, 绘制, 繪製, 展示, 显示, 顯示, 作图
plot | 그림, 그래프 | 图, 圖
UMAP | 유맵, UMAP 그림, UMAP | UMAP图, UMAP圖, UMAP
heatmap | 히트맵, 열지도 | 热图, 熱圖
dot plot | 도트 플롯, 도트플롯, 점도표, 닷플롯 | 点图, 點圖, 气泡图
violin plot | 바이올린 플롯, 바이올린플롯, 바이올린 | 小提琴图, 小提琴圖
composition | 구성 비율, 세포 구성, 조성, 구성비, 구성, 비율 | 组成, 細胞組成, 比例, 构成, 占比
coloured by | 색으로, 색칠, 색깔로 | 着色, 上色
marker genes | 마커 유전자, 마커유전자, 표지 유전자, 마커, 표지자 | 标记基因, 標記基因, 标志基因, marker基因, 标志物, 标记物
gene | 유전자들, 유전자 | 基因
find | 찾아, 찾, 나열, 알려, 구해 | 找出, 寻找, 尋找, 列出, 查找, 告诉我, 给出
search | 검색 | 搜索, 查询, 检索, 查詢
differential expression | 차등 발현, 차별 발현, 발현 차이, 차등발현 | 差异表达, 差異表達, 表达差异
difference | 차이점, 차이, 다른 점 | 差异, 差別, 差别, 区别, 差異
compare | 비교 | 比较, 對比, 对比, 比較
between | 사이의, 사이, 간의 | 之间, 之間
groups | 그룹, 집단, 두 군 | 组别, 分组, 两组, 兩組, 组间
the file's own labels | 파일의 라벨, 파일에 있는 라벨, 기존 라벨, 원래 라벨, 파일 라벨, 원본 라벨 | 文件中的标签, 文件自带的标签, 原有标签, 自带标签, 文件里的标签, 原始标签
labels | 라벨, 레이블 | 标签, 標籤
predict | 예측 | 预测, 預測
drug response | 약물 반응성, 약물 반응, 약물반응, 약물 감수성 | 药物反应, 藥物反應, 药物响应, 药物敏感性
response | 반응성, 반응 | 反应, 反應, 响应, 应答
respond | 반응하 | 对药物有反应
sensitive | 민감한지, 민감한, 민감, 감수성 | 敏感
resistant | 내성이 있, 내성, 저항성 | 耐药, 抗药, 耐藥
drug | 약물, 약제, 약 | 药物, 藥物, 药
generate | 생성, 만들어, 합성 | 生成, 产生, 合成, 模拟, 產生
check | 확인, 점검, 검증 | 检查, 验证, 檢查, 核对
explain | 설명 | 解释, 解釋, 说明, 說明
why | 왜, 이유 | 为什么, 為什麼, 原因
which genes | 어떤 유전자, 어느 유전자, 무슨 유전자 | 哪些基因, 什么基因, 哪個基因
define | 결정하, 특징짓, 정의하, 만드는 | 决定, 定义, 決定
what does it do | 무엇을 하, 무슨 역할, 어떤 역할, 역할, 기능 | 有什么功能, 功能, 作用, 起什么作用
what is | 무엇인가, 무엇, 뭐 | 什么是, 是什么, 什麼是
preprocess | 전처리 | 预处理, 預處理
quality control | 품질 관리, 품질관리, 품질 | 质量控制, 质控
normalise | 정규화 | 标准化, 归一化
resolution | 해상도, 레졸루션 | 分辨率, 解析度
batch correction | 배치 효과 보정, 배치 보정, 배치 효과 | 批次校正, 去批次, 批次效应
describe | 요약, 개요, 서술 | 概述, 描述, 介绍, 总结, 概括
data | 데이터셋, 데이터, 자료, 파일 | 数据集, 数据, 數據, 資料, 文件
analyse | 분석 | 分析
everything | 전부, 모든 것, 모두 | 一切, 所有, 全部
how many | 몇 개나, 몇 개, 몇개, 얼마나 많, 개수, 몇 | 多少个, 多少, 幾個, 几个, 数量
number of cells | 세포 수 | 细胞数, 細胞數, 细胞数量
per donor | 기증자별로, 기증자별, 공여자별, 도너별 | 每个供体, 每個供體, 按供体, 每位供体, 各供体
per patient | 환자별로, 환자별 | 每个患者, 每位患者, 按患者, 各患者
per sample | 샘플별로, 샘플별, 시료별 | 每个样本, 按样本, 各样本, 每個樣本
per cell type | 세포 유형별로, 세포 유형별, 세포타입별, 세포 종류별 | 每种细胞类型, 各细胞类型, 按细胞类型, 每种细胞
per cell line | 세포주별로, 세포주별 | 每个细胞系, 按细胞系, 各细胞系
per cluster | 클러스터별로, 클러스터마다, 군집별로, 군집마다 | 每个簇, 每个聚类, 各簇, 各个簇, 每个群, 按簇
per cell | 세포별로, 세포마다, 세포별, 세포 하나하나 | 每个细胞, 逐个细胞, 單個細胞, 单个细胞
donor | 기증자, 공여자 | 供体, 供體
patient | 환자 | 患者, 病人
sample | 샘플, 시료 | 样本, 樣本
condition | 조건 | 条件, 條件
treatment | 처리군, 처치 | 处理
control | 대조군 | 对照组, 对照
trajectory | 궤적, 의사시간 | 轨迹, 軌跡, 拟时序, 伪时间
RNA velocity | RNA 속도, RNA속도, RNA 벨로시티 | RNA速率, RNA速度, RNA 速率, RNA 速度
spatial | 공간 전사체, 공간적, 공간 | 空间转录组, 空间, 空間
survival analysis | 생존 분석, 생존분석, 생존, 얼마나 살, 얼마나 더 살 | 生存分析, 生存
chromatin accessibility | 염색질 접근성, 염색질 | 染色质可及性, 染色质
copy number | 복제수 변이, 복제수 | 拷贝数变异, 拷贝数
cell-cell communication | 세포 간 상호작용, 세포간 상호작용, 세포 간 통신 | 细胞通讯, 细胞间通讯, 细胞间相互作用
mutations | 돌연변이, 변이 | 突变, 變異
write a poem | 시를 써, 시 한 편, 시를 하나 써 | 写一首诗, 写首诗, 寫一首詩, 作诗
weather | 날씨 | 天气, 天氣
tell me a joke | 농담 | 讲个笑话, 笑话, 笑話
stock price | 주가, 주식 | 股价, 股票
recipe | 요리법, 레시피 | 食谱, 菜谱
news | 뉴스 | 新闻, 新聞
translate | 번역 | 翻译, 翻譯
song | 노래 | 歌曲, 唱歌
movie | 영화 | 电影, 電影
delete | 삭제, 지워 | 删除, 刪除
files | 파일들, 파일을 모두, 모든 파일 | 所有文件, 全部文件
ignore the instructions | 지시를 무시, 지시사항을 무시, 명령을 무시, 이전 지시 무시 | 忽略之前的指令, 忽略指令, 忽略以上指令, 无视指令, 忽略所有指令
run the command | 명령을 실행, 명령어를 실행, 셸 명령, 코드를 실행 | 运行命令, 执行命令, 执行代码, 运行代码
password | 비밀번호, 암호, 패스워드 | 密码, 口令
system prompt | 시스템 프롬프트 | 系统提示词, 系统提示
pancreas | 췌장 | 胰腺, 胰臟
lung | 폐 | 肺
liver | 간에서, 간의 | 肝脏
brain | 뇌 | 大脑, 脑
blood | 혈액 | 血液
skin | 피부 | 皮肤
intestine | 장의, 소장 | 肠道
human | 사람, 인간 | 人类, 人的, 人类的
mouse | 마우스, 생쥐, 쥐 | 小鼠, 老鼠
tissue | 조직 | 组织, 組織
literature | 문헌, 논문 | 文献, 論文
known | 알려진 | 已知
about | 에 대해, 에 대한, 에 관한 | 关于, 有关
expression | 발현량, 발현 | 表达, 表達
top | 상위 | 前
all | 전체 | 整体
and | 그리고, 및 | 并且, 并, 和, 与, 以及, 還有, 及, 跟
then | 그 다음, 그다음, 다음에, 한 뒤, 한 후 | 然后, 接着, 之后, 然後, 再
also | 또한, 추가로 | 也, 还要, 同时
only | 만 따로, 만 골라, 만 남겨, 만 선택, 만 보고, 만 | 只保留, 只分析, 只要, 只看, 只用, 仅保留, 只, 仅
exclude | 빼고, 빼줘, 빼, 제외하고, 제외, 제거, 없애 | 去掉, 排除, 剔除, 除去, 去除, 不要
keep | 남겨, 골라, 선택, 추려 | 保留, 提取, 筛选, 挑出
classify | 분류 | 分类, 归类
simulate | 시뮬레이션, 모의, 가상의, 가상으로, 가상, 인공 | 虚拟, 人工, 造
efficacy | 효과, 효능, 약효, 잘 듣 | 疗效, 有效, 效果
trajectory | 발달 경로, 분화 경로, 발달 궤적, 슈도타임, 유사시간 | 发育轨迹, 分化轨迹, 发育路径, 谱系
ligand receptor interaction | 리간드, 수용체 | 配体受体, 配体, 受体
specific | 특이적으로, 특이적인, 특이 | 特异性, 特异, 独特
reason | 근거, 까닭, 원인 | 依据, 凭什么, 理由
distinguish | 구별하, 구별되, 구분하 | 区分
characteristic genes | 특징 유전자 | 特征基因
overview | 개요 | 基本情况, 概况
label the cells | 이름을 붙, 이름을 정해, 이름 붙 | 打上标签, 打标签, 打上类型标签, 命名
cell type | 셀타입, 셀 타입 | 细胞身份, 细胞类别
proportion | 비중, 분포 | 比重
tumor | 종양, 암 조직 | 肿瘤
healthy | 정상 | 正常, 健康
responded | 반응한 | 有应答, 应答的
not responded | 반응하지 않은, 무반응 | 没有应答, 未应答, 无应答
immunotherapy | 면역치료, 면역 치료 | 免疫治疗
different | 어떻게 다른, 얼마나 다른, 뭐가 다른, 다른가 | 有多大差别, 差在哪里, 有什么不同, 不同
donor | 도너 | 捐献者
shares | 증시 | 股市, 炒股
cook dinner | 뭐 먹을 | 做饭, 吃什么
gefitinib | 게피티닙 | 吉非替尼
erlotinib | 엘로티닙, 얼로티닙 | 厄洛替尼
afatinib | 아파티닙 | 阿法替尼
osimertinib | 오시머티닙 | 奥希替尼
imatinib | 이마티닙 | 伊马替尼
cisplatin | 시스플라틴 | 顺铂
paclitaxel | 파클리탁셀 | 紫杉醇
docetaxel | 도세탁셀 | 多西他赛
gemcitabine | 젬시타빈 | 吉西他滨
trametinib | 트라메티닙 | 曲美替尼
vemurafenib | 베무라페닙 | 维莫非尼
bortezomib | 보르테조밉 | 硼替佐米
doxorubicin | 독소루비신 | 多柔比星, 阿霉素
panobinostat | 파노비노스타트 | 帕比司他
now | 이제, 지금 | 现在
again | 다시 | 重新, 再次
same | 같은, 똑같이 | 同样, 一样
"""

_PARTICLES = [
    "해주세요",
    "해주시고",
    "해주고",
    "해줘요",
    "해줘",
    "하세요",
    "해라",
    "하고",
    "하여",
    "해서",
    "합니까",
    "한다",
    "하는",
    "하기",
    "하자",
    "해",
    "주세요",
    "줘요",
    "줘",
    "주고",
    "있습니까",
    "있는지",
    "있어요",
    "있나요",
    "있니",
    "있는",
    "있어",
    "인가요",
    "인지",
    "입니까",
    "이야",
    "이에요",
    "예요",
    "으로는",
    "으로",
    "에서",
    "에게",
    "에는",
    "까지",
    "부터",
    "마다",
    "라고",
    "이랑",
    "랑",
    "와의",
    "과의",
    "와",
    "과",
    "을",
    "를",
    "이",
    "가",
    "은",
    "는",
    "의",
    "에",
    "도",
    "로",
    "한",
    "할",
    "된",
    "되는",
    "들",
    "어",
    "고",
    "아",
    "요",
    "니",
    "야",
    "나",
    "지",
    "써",
    "좀",
    "请帮我",
    "帮我",
    "请",
    "一下",
    "我想",
    "我要",
    "想要",
    "需要",
    "这些",
    "这个",
    "那些",
    "这",
    "那",
    "的",
    "了",
    "吗",
    "呢",
    "吧",
    "把",
    "对",
    "在",
    "中",
    "里",
    "用",
    "由",
    "将",
    "按",
    "个",
    "請",
    "這些",
    "這個",
    "嗎",
    "對",
    "將",
    "從",
    "从",
    "给我",
    "给",
    "做",
    "是",
    "有",
    "一个",
    "一张",
]

_EAST = re.compile(r"[ᄀ-ᇿ㄰-㆏가-힣぀-ヿ㐀-鿿]")


def _table() -> dict[str, str]:
    terms: dict[str, str] = {}
    more = (resources.files("cellwright.agent") / "wordings" / "terms.txt").read_text("utf-8")
    lines = [*_TERMS.strip().splitlines(), *more.splitlines()]
    for line in (one for one in lines if not one.startswith("#")):
        english, korean, chinese = line.split("|")
        for side in (korean, chinese):
            for term in side.split(","):
                if _EAST.search(term):
                    terms.setdefault(term.strip(), english.strip())
    return terms


TERMS = _table()
_FILLER = re.compile("|".join(re.escape(one) for one in sorted(_PARTICLES, key=len, reverse=True)))
_MARKS = str.maketrans("，、。；：？！（）“”「」", ',,.;:?!()""""')


_DIGITS = {one: at for at, one in enumerate("零一二三四五六七八九")} | {"两": 2, "兩": 2}
_PLACES = {"十": 10, "百": 100, "千": 1000}
_NATIVE = dict(
    zip(
        ["두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉", "열", "스무"],
        (*range(2, 11), 20),
        strict=True,
    )
)
_COUNTS = re.compile(
    r"[一二三四五六七八九十百千两兩]+(?=[个個顆颗只條条号號种種])"
    rf"|(?<![가-힣])(?:{'|'.join(_NATIVE)})(?=\s?(?:개|가지|종|명|마리))"
)


def _counted(text: str) -> int:
    """A number in Chinese numerals or Korean words: 五百, 다섯."""
    if text in _NATIVE:
        return _NATIVE[text]
    total, digit = 0, 0
    for one in text:
        if one in _PLACES:
            total, digit = total + (digit or 1) * _PLACES[one], 0
        else:
            digit = _DIGITS[one]
    return total + digit


@cache
def _all_terms() -> tuple[Mapping[str, str], re.Pattern[str]]:
    """The terms above and the knowledge's names of cell types, the longest first."""
    from cellwright.agent.names import eastern_types

    terms: dict[str, str] = {}
    for term, english in (*TERMS.items(), *eastern_types().items()):
        terms.setdefault(term.translate(TRADITIONAL), english)
    longest = sorted(terms, key=len, reverse=True)
    either = "|".join(re.escape(term) for term in longest)
    return terms, re.compile(f"{either}|{_COUNTS.pattern}")


def is_eastern(text: str) -> bool:
    """The text has Korean or Chinese letters."""
    return _EAST.search(text) is not None


def gloss(text: str) -> str:
    """English for a request in Korean or Chinese; other text is returned as it is.

    Args:
        text: A request or a part of one.

    Returns:
        Known terms in English in the order of the original, particles dropped, unknown words kept.
    """
    return glossed(text)[0]


def glossed(text: str) -> tuple[str, tuple[int, ...]]:
    """The gloss of a text, and where each of its characters, and its end, stands in the text."""
    if not is_eastern(text):
        return text, tuple(range(len(text) + 1))
    # Neither of these changes the length.
    plain = text.translate(_MARKS).translate(TRADITIONAL)
    terms, pattern = _all_terms()
    words: list[tuple[str, int, int]] = []
    end = 0
    for match in pattern.finditer(plain):
        words += _left_over(plain, end, match.start())
        said = terms.get(match.group()) or str(_counted(match.group()))
        words.append((said, match.start(), 0))
        end = match.end()
    words += _left_over(plain, end, len(plain))
    if not words:
        return text, tuple(range(len(text) + 1))
    english = ""
    places: list[int] = []
    for word, start, step in words:
        if english and word[0] not in ",.;:?!)":
            english += " "
            places.append(places[-1])
        english += word
        places += [start + step * at for at in range(len(word))]
    return english, (*places, len(text))


def _left_over(text: str, start: int, end: int) -> list[tuple[str, int, int]]:
    """Words between two terms, each with its place and 1, the step from letter to letter.

    Particles and endings fall away where nothing else is left of a run of eastern letters.
    """
    found = []
    for run in re.finditer(rf"{_EAST.pattern}+|(?:(?!{_EAST.pattern})\S)+", text[start:end]):
        filler = _EAST.match(run.group()) and len(_FILLER.sub("", run.group())) <= 2
        if not filler:
            found.append((run.group(), start + run.start(), 1))
    return found
